"""What `splitnet federate run` does: make or open the job, keep it under way, then make the next version."""

import socket
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from splitnet.cli.console import print_json, print_line, stderr
from splitnet.cli.federate_job import Asked, check_job, needed, open_job
from splitnet.cli.federate_join import tls_options
from splitnet.cli.federate_progress import FederateProgress, figures
from splitnet.cli.release import REFUSED_CODE
from splitnet.config import parse_address
from splitnet.emulate.federation import LocalFederation
from splitnet.emulate.fleet import TryOutDevice, TryOutFleet, make_fleet, read_fleet
from splitnet.errors import InvalidArgumentError, NotFoundError, UnavailableError
from splitnet.learn.flower.runs import FlowerRuns, SuperLink, check_installed
from splitnet.learn.settings import FederatedSettings
from splitnet.package import open_package
from splitnet.release.evidence import read_evidence
from splitnet_server.rounds import JobFolder, supervise
from splitnet_server.rounds.status import status_of

#: The job was asked to stop, and did.
STOPPED_CODE = 6

_CONNECT_S = 5.0


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
            raise InvalidArgumentError(
                "give --superlink HOST:PORT for a fleet or --local N for a try-out: one of them"
            )
        if self.root_certificates is not None and not self.root_certificates.is_file():
            raise NotFoundError(f"{self.root_certificates}: no such file")


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
    folder = JobFolder(output)
    package, settings = check_job(folder, asked, try_out=place.local is not None, resume=resume)
    if release is not None:
        read_evidence(open_package(package), release.calibration, release.judge)
    _check_place(place, output, settings)
    output.mkdir(parents=True, exist_ok=True)
    fleet = None if place.local is None else _fleet(output / "fleet", package, place, resume=resume)
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
    if end["event"] == "stopped":
        raise typer.Exit(STOPPED_CODE)
    if result["release"] is not None and not result["release"]["released"]:
        raise typer.Exit(REFUSED_CODE)


def _check_place(place: Place, output: Path, settings: FederatedSettings) -> None:
    """Refuse what could not come to an end, before anything is written or waited for."""
    if place.superlink is not None:
        _check_listens(place.superlink)
        return
    if "'" in (path := str(output.absolute())) or "\n" in path:
        raise InvalidArgumentError(
            f"--output {path}: Flower takes no path with a quote or line end: choose another"
        )
    if (place.local or 0) < settings.least_devices:
        raise InvalidArgumentError(
            f"--local {place.local}: a round needs {settings.least_devices} devices (the settings' least_devices)"
        )


def _check_listens(address: str) -> None:
    try:
        socket.create_connection(parse_address(address), _CONNECT_S).close()
    except OSError as err:
        raise UnavailableError(
            f"--superlink {address}: nobody listens there ({err}); start Flower's SuperLink"
        ) from err


def _superlink(place: Place, federation: LocalFederation | None) -> SuperLink:
    if federation is not None:
        return SuperLink(federation.address, insecure=True)
    address = place.superlink or ""
    plain = "--insecure" in tls_options(address, place.root_certificates, insecure=place.insecure)
    return SuperLink(address, place.root_certificates, insecure=plain)


def _fleet(folder: Path, package: Path, place: Place, *, resume: bool) -> TryOutFleet:
    """Make the devices of a try-out, one for each store, or find those of the job that is resumed."""
    count = place.local or 0
    if resume:
        found = read_fleet(folder)
        if len(found.states) != count:
            raise InvalidArgumentError(f"--local {count}: the job in the folder has {len(found.states)} devices")
        return found
    stores = _stores(needed(place.stores, "--stores"))
    if len(stores) < count:
        raise InvalidArgumentError(
            f"--local {count}: {place.stores} has {len(stores)} stores, one a device is needed"
        )
    opened = open_package(package)
    devices = [TryOutDevice(f"device-{i}", "here", store) for i, store in enumerate(stores[:count], start=1)]
    return make_fleet(folder, opened.path, devices, model=opened.manifest.model.name, terms={})


def _stores(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as err:
        raise NotFoundError(f"--stores {folder}: expected a directory of sample stores ({err.strerror})") from err
    # A store that is open has its journal beside it.
    return [path for path in found if not path.name.endswith(("-wal", "-shm", "-journal"))]


def _federation(output: Path, fleet: TryOutFleet | None) -> AbstractContextManager[LocalFederation | None]:
    return nullcontext() if fleet is None else LocalFederation(output / "federation", fleet.nodes)


def _release(package: Path, folder: JobFolder, release: Release) -> dict[str, Any]:
    """Make the next version and return its judgement."""
    from splitnet.release.candidate import make_candidate
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
