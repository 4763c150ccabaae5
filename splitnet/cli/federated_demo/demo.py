"""The federated demo from end to end: serve, learn in rounds, judge, swap under load, serve again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from splitnet.cli.federated_demo.fleet import Fleet, Served, SwapLoad
from splitnet.cli.federated_demo.report import FederatedResult, Half
from splitnet.cli.federated_demo.rounds import Learned, Task, learn
from splitnet.cli.federated_demo.tiles import FleetTiles, read_fleet
from splitnet.config import parse_address
from splitnet.cost import default_site
from splitnet.emulate.fleet import TryOutDevice, make_fleet
from splitnet.emulate.lab import Lab, LabSetup
from splitnet.emulate.shape import LinkShape
from splitnet.errors import InvalidArgumentError
from splitnet.learn.settings import FederatedSettings, LocalSettings
from splitnet.package import Package
from splitnet.partition import PartitionOptions, partition
from splitnet.release.candidate import Candidate, make_candidate
from splitnet.release.evidence import read_evidence
from splitnet.release.figures import Outcomes, route
from splitnet.release.rollout import apply
from splitnet.release.stitched import observe
from splitnet.samples import Samples

#: Lines of the example's test tiles that its model never saw.
NEW_LINES = (12100, 12300, 90100)
_NAME = "pcb"
#: All devices stand on one site, and so form one cohort.
_SITE = "factory"
_STAGE_ENDS = (("boundary1",), ("boundary2",))

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """What the demo works with.

    Attributes:
        folder: for everything that it makes; made already.
        model: the example's model.
        calibration: tiles that chose its thresholds.
        tiles: what the fleet will see.
        lines: of these tiles' production lines, the fleet's; None for all.
    """

    folder: Path
    model: Path
    calibration: Path
    tiles: Path
    lines: tuple[int, ...] | None


def run(files: DemoFiles, rounds: int, on_step: OnStep) -> FederatedResult:
    """Run the demo.

    Args:
        files: what it works with.
        rounds: federated rounds.
        on_step: called with what is done next.

    Raises:
        SplitNetError: something of it fails.
    """
    on_step("cut the model, with the training of its first exit")
    package = _partition(files)
    specs = tuple(entry.to_spec() for entry in package.manifest.model.inputs)
    tiles = read_fleet(files.tiles, specs, files.lines)
    stores = {device.name: files.folder / f"{device.name}.samples" for device in tiles.devices}
    devices = [TryOutDevice(name, _SITE, store) for name, store in stores.items()]
    machines = make_fleet(files.folder / "devices", package.path, devices, model=_NAME, terms={})
    links = default_site().links
    near, far = (LinkShape(link.bandwidth_bps, link.delay_ms / 1e3, link.jitter_ms / 1e3) for link in links)
    setup = LabSetup(package.path, ("edge", "cloud"), (near, far), 1.0)
    with Lab(setup) as lab, Fleet(tiles, package.path, stores, lab) as fleet:
        on_step(f"{len(devices)} devices serve the first half of their tiles")
        before = fleet.serve("before")
        learned = learn(
            Task(files.folder / "learning", package.path, settings_of(rounds)),
            machines,
            stores,
            lambda done: on_step(f"learn in rounds over Flower: {done} of {rounds}"),
        )
        on_step("put what was learned into version 2, and judge it")
        candidate = _candidate(files, package, learned)
        swap = SwapLoad()
        if candidate.judgement.released:
            on_step("swap version 2 in under load")
            swap = _swap(fleet, lab, candidate.package)
        on_step("the devices serve the second half")
        after = fleet.serve("after")
    served = {"before": before, "after": after}
    return _result(tiles, package, candidate, learned, served, swap)


def settings_of(rounds: int) -> FederatedSettings:
    """Return the demo's settings: the defaults, but for devices that have few tiles to learn from."""
    return FederatedSettings(rounds=rounds, local=LocalSettings(least_samples=1))


def _partition(files: DemoFiles) -> Package:
    options = PartitionOptions(
        model=files.model,
        # The tiers' repository: version 2 will lie beside it.
        output=files.folder / "packages" / f"{_NAME}-1.split",
        site=default_site(),
        name=_NAME,
        calibration=files.calibration,
        codec="u8",
        cuts=_STAGE_ENDS,
        profile_s=0.5,
        trainable="exits",
    )
    return partition(options).package


def _candidate(files: DemoFiles, package: Package, learned: Learned) -> Candidate:
    output = files.folder / "packages" / f"{_NAME}-2.split"
    return make_candidate(package, learned.parameters, read_evidence(package, files.calibration), output)


def _swap(fleet: Fleet, lab: Lab, package: Package) -> SwapLoad:
    with fleet.under_load("before") as load:
        load.wait_for_answers()
        apply(package, [parse_address(address) for address in lab.tiers.values()])
        fleet.load(package.path)
        load.wait_for_answers()
    return load.seen


def _result(
    tiles: FleetTiles,
    package: Package,
    candidate: Candidate,
    learned: Learned,
    served: dict[str, Served],
    swap: SwapLoad,
) -> FederatedResult:
    released = candidate.judgement.released
    running = candidate.package if released else package
    unlearned = _outcomes(package, tiles.all_of("after"))
    return FederatedResult(
        before=Half(served["before"], _device_accuracy(_outcomes(package, tiles.all_of("before")))),
        after=Half(served["after"], _device_accuracy(_outcomes(running, tiles.all_of("after")))),
        unlearned=(_device_accuracy(unlearned), float(unlearned.forwarded.mean())),
        rounds=learned.rounds,
        clients=learned.clients,
        learned_from=learned.learned_from,
        round_s=learned.seconds,
        round_bytes_per_device=learned.bytes_per_device,
        secure_sum_max_abs_error=learned.sum_error,
        swap=swap,
        thresholds=(_threshold(package), _threshold(candidate.package)),
        released=released,
        reason=candidate.judgement.reason,
    )


def _outcomes(package: Package, samples: Samples) -> Outcomes:
    """Return what a version does with samples, by running its segments here."""
    observed = observe(package, package.manifest.plan, samples)
    assert samples.labels is not None
    return route(package.manifest, observed, samples.labels)


def _threshold(package: Package) -> float:
    segment = package.manifest.segment_of("device")
    head = None if segment is None else package.manifest.exit_of(segment.id)
    if head is None:
        raise InvalidArgumentError("the package has no exit at the device")
    return head.threshold


def _device_accuracy(outcomes: Outcomes) -> float:
    assert outcomes.device_right is not None
    return float(np.mean(outcomes.device_right))
