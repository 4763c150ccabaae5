"""Seconds a round and a leg over Flower's processes on this machine: secure sums and plain FedAvg in turns."""

import argparse
import json
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure, Options, example_tiles, show
from splitnet.cli.federate_job import initial_parameters
from splitnet.cost import default_site
from splitnet.emulate.federation import LocalFederation
from splitnet.emulate.fleet import TryOutDevice, TryOutFleet, make_fleet
from splitnet.learn.flower.runs import FlowerRuns, SuperLink
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.store import Limits, Sample, SampleKeeper, Signature
from splitnet.package import Package
from splitnet.partition import PartitionOptions, partition
from splitnet_server.rounds import Job, JobFolder, supervise

_EXAMPLE = Path(__file__).parents[1] / "examples" / "pcb_inspection"
_SAMPLES = 150  # of each device
_RUNS = 3  # of each kind
_ROUNDS = 3  # of each run; the first is not counted, devices still introduce themselves in it


def main() -> None:
    """Run jobs of both kinds in turns on one federation, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=6, metavar="N", help="SuperNodes")
    parser.add_argument(
        "--shipped", action="store_true", help="Flower's programs with the waits that they ship with"
    )
    parser.add_argument("--json", action="store_true", dest="json_output", help="print one JSON object")
    values = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as name:
        rounds = _measure(Path(name), devices=values.devices, quick=not values.shipped)
    waits = "as shipped" if values.shipped else "short"
    title = f"a round of {values.devices} devices, waits {waits}"
    show(title, _figures(rounds), Options(0.0, values.json_output))


def _measure(folder: Path, *, devices: int, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the rounds of each kind."""
    package = partition(_cut(folder)).package
    stores = [
        TryOutDevice(f"device-{i}", "here", path) for i, path in enumerate(_stores(package, folder, devices))
    ]
    fleet = make_fleet(folder / "fleet", package.path, stores, model="pcb", terms={"allow_plain": True})
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with LocalFederation(folder / "federation", fleet.nodes, quick=quick) as federation:
        for run in range(_RUNS):
            for kind in ("plain", "secure"):
                job = _job(folder / f"{kind}-{run}", package, fleet, secure=kind == "secure")
                superlink = SuperLink(federation.address, insecure=True)
                supervise(job, FlowerRuns(superlink, job.path), lambda _event: None)
                rounds[kind] += list(_played(job))[1:]
    return rounds


def _cut(folder: Path) -> PartitionOptions:
    return PartitionOptions(
        model=_EXAMPLE / "model.onnx",
        output=folder / "example.split",
        site=default_site(),
        name="pcb",
        calibration=_EXAMPLE / "calibration.npz",
        codec="u8",
        cuts=(("boundary1",), ("boundary2",)),
        profile_s=0.1,
        trainable="exits",
    )


def _stores(package: Package, folder: Path, devices: int) -> Iterator[Path]:
    """Make a store of the example's tiles for each device, with the labels as what the cloud said."""
    tiles = example_tiles(package)
    classes = package.manifest.training[0].classes
    assert tiles.labels is not None
    for device in range(devices):
        path = folder / f"{device}.db"
        which = np.random.default_rng(device).choice(tiles.count, _SAMPLES, replace=False)
        taken, labels = tiles.take(which.tolist()), tiles.labels[which]
        teacher = np.eye(classes, dtype=np.float32)[labels]
        signature = Signature.of(package.manifest, classes)
        with SampleKeeper(path, signature, Limits(2**28)) as keeper:
            keeper.add(
                [Sample(i, signature.pack(taken, i), teacher[i], "cloud", None, 0.0) for i in range(_SAMPLES)]
            )
        yield path


def _job(path: Path, package: Package, fleet: TryOutFleet, *, secure: bool) -> JobFolder:
    path.mkdir()
    settings = FederatedSettings.model_validate({"rounds": _ROUNDS, "secure": {"enabled": secure}})
    job = Job(
        run=path.name,
        package=package.path,
        roster=fleet.roster,
        operator=fleet.operator,
        ledger=path / "privacy.json",
        settings=settings,
    )
    folder = JobFolder(path)
    folder.create(job, initial_parameters(package))
    return folder


def _played(folder: JobFolder) -> Iterator[dict[str, Any]]:
    for line in folder.progress_path.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "round":
            yield event


def _figures(rounds: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    median = {kind: statistics.median(each["seconds"] for each in played) for kind, played in rounds.items()}
    bytes_ = {kind: played[0]["down_bytes"] + played[0]["up_bytes"] for kind, played in rounds.items()}
    legs = [
        Figure(f"leg {leg}, s", statistics.median(each["legs"][leg] for each in rounds["secure"]))
        for leg in rounds["secure"][0]["legs"]
    ]
    return [
        Figure("plain FedAvg, s", median["plain"]),
        Figure("secure, s", median["secure"]),
        Figure("secure / plain", median["secure"] / median["plain"], "<= 1.50"),
        *legs,
        Figure("bytes of a round, secure / plain", bytes_["secure"] / bytes_["plain"]),
    ]


if __name__ == "__main__":
    main()
