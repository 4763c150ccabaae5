"""What `splitnet federate run` does: make or open the job, keep it under way, then make the next version."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splitnet.cli.console import print_json, print_line, stderr
from splitnet.cli.federate_job import Asked, needed, open_job
from splitnet.cli.federate_join import tls_options
from splitnet.cli.federate_progress import FederateProgress, figures
from splitnet.emulate.federation import LocalFederation
from splitnet.emulate.fleet import TryOutDevice, TryOutFleet, make_fleet, read_fleet
from splitnet.errors import InvalidArgumentError
from splitnet.learn.flower.runs import FlowerRuns, SuperLink, check_installed
from splitnet.package import open_package
from splitnet_server.rounds import JobFolder, supervise
from splitnet_server.rounds.status import status_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rounds take place.

    Attributes:
        superlink: HOST:PORT of a running one, or None for a try-out.
        root_certificates: authority behind its certificate.
        local: devices of a try-out on this machine.
        stores: directory of their sample stores.
        insecure: whether to go without TLS to another machine.
    """

    superlink: str | None
    root_certificates: Path | None
    local: int | None
    stores: Path | None
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.superlink is None) == (self.local is None):
            raise InvalidArgumentError("where? --superlink HOST:PORT for a fleet, or --local N for a try-out")


@dataclass(frozen=True, slots=True)
class Release:
    """What becomes of the last parameters.

    Attributes:
        calibration: samples that choose the thresholds.
        judge: other samples to judge on, None for the same.
        output: of the next version.
    """

    calibration: Path
    judge: Path | None
    output: Path


def run_asked(
    output: Path, asked: Asked, place: Place, *, release: Release | None, resume: bool, as_json: bool
) -> None:
    """Run the job to its end, and print what came of it.

    Raises:
        SplitNetError: options are wrong, or the job failed.
    """
    check_installed()
    output.mkdir(parents=True, exist_ok=True)
    folder = JobFolder(output)
    fleet = None if place.local is None else _fleet(output / "fleet", asked, place, resume=resume)
    job = open_job(folder, asked, fleet, resume=resume)
    folder.forget_stop()
    with _federation(output, fleet) as federation, FederateProgress(stderr, job.settings.rounds) as progress:
        superlink = _superlink(place, federation)
        try:
            end = supervise(folder, FlowerRuns(superlink, output), progress.show)
        except KeyboardInterrupt:
            folder.ask_to_stop()
            raise
    result: dict[str, Any] = {**status_of(folder), "parameters": None, "release": None}
    if end["event"] == "finished":
        result["parameters"] = str(folder.parameters_path)
        result["release"] = None if release is None else _release(job.package, folder, release)
    _print(result, as_json=as_json)


def _superlink(place: Place, federation: LocalFederation | None) -> SuperLink:
    if federation is not None:
        return SuperLink(federation.address, insecure=True)
    address = place.superlink or ""
    plain = "--insecure" in tls_options(address, place.root_certificates, insecure=place.insecure)
    return SuperLink(address, place.root_certificates, insecure=plain)


def _fleet(folder: Path, asked: Asked, place: Place, *, resume: bool) -> TryOutFleet:
    """Make the devices of a try-out, one for each store, or find those of the job that is resumed."""
    if resume:
        return read_fleet(folder)
    stores = sorted(path for path in needed(place.stores, "--stores").iterdir() if path.is_file())
    count = place.local or 0
    if len(stores) < count:
        raise InvalidArgumentError(
            f"--local {count}: {place.stores} has {len(stores)} stores, one a device is needed"
        )
    package = open_package(needed(asked.package, "--package"))
    devices = [TryOutDevice(f"device-{i}", "here", store) for i, store in enumerate(stores[:count], start=1)]
    return make_fleet(folder, package.path, devices, model=package.manifest.model.name, terms={})


def _federation(output: Path, fleet: TryOutFleet | None) -> AbstractContextManager[LocalFederation | None]:
    return nullcontext() if fleet is None else LocalFederation(output / "federation", fleet.nodes)


def _release(package: Path, folder: JobFolder, release: Release) -> dict[str, Any]:
    """Make the next version and return its judgement."""
    from splitnet.release.candidate import make_candidate
    from splitnet.release.evidence import read_evidence
    from splitnet.release.parameter_file import read_parameters

    running = open_package(package)
    evidence = read_evidence(running, release.calibration, release.judge)
    made = make_candidate(running, read_parameters(folder.parameters_path), evidence, release.output)
    return {
        "released": made.judgement.released,
        "reason": made.judgement.reason,
        "package": str(made.package.path),
        "report": str(made.report),
    }


def _print(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    print_line(f"{result['state']} after {result['rounds']} of {result['of']} rounds")
    if result["last_round"] is not None:
        print_line(figures(result["last_round"]))
    if result["parameters"] is not None:
        print_line(f"parameters: {result['parameters']}")
    if (release := result["release"]) is not None:
        print_line(f"{'released' if release['released'] else 'refused'}: {release['reason']}")
        print_line(f"{release['package']}, {release['report']}")
