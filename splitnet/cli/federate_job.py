"""From the options of `splitnet federate run` to a job in its folder."""

import secrets
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import ValidationError

from splitnet.config import describe, read_toml
from splitnet.emulate.fleet import TryOutFleet
from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError
from splitnet.learn.identity import load_roster, operator_public
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.vector import Vector, flatten
from splitnet.package import Package, open_package
from splitnet_server.rounds import Job, JobFolder


@dataclass(frozen=True, slots=True)
class Asked:
    """Options that say what a new job is; None where not given.

    Attributes:
        package: directory of the package.
        roster: file of the signed roster.
        operator: the operator's public key, or the directory that has it.
        settings: TOML or JSON file.
        rounds: in place of the settings'.
        ledger: file of what was spent of the fleet's privacy.
    """

    package: Path | None = None
    roster: Path | None = None
    operator: Path | None = None
    settings: Path | None = None
    rounds: int | None = None
    ledger: Path | None = None


def check_job(folder: JobFolder, asked: Asked, *, try_out: bool, resume: bool) -> tuple[Path, FederatedSettings]:
    """Return package and settings of the job that `open_job` would open, before anything of it is written.

    Args:
        folder: of the job.
        asked: what it shall be.
        try_out: whether its devices will be made on this machine.
        resume: whether it is the one that is in the folder.

    Raises:
        InvalidArgumentError: an option is missing, or says again what the job in the folder says already.
        ConfigError: settings or roster are wrong, nothing in the package is trainable, or there is a job already.
        NotFoundError: a file is missing, or the job to be resumed.
    """
    if resume:
        if given := [each.name for each in fields(asked) if getattr(asked, each.name) is not None]:
            raise InvalidArgumentError(f"--resume goes on with the job as it is: leave out --{given[0]}")
        job = folder.job()
        return job.package, job.settings
    if folder.exists:
        raise ConfigError(
            f"{folder.path}: holds a job already: --resume goes on with it, or take another --output"
        )
    package = open_package(needed(asked.package, "--package"))
    initial_parameters(package)
    settings = read_settings(asked.settings, asked.rounds)
    if not try_out:
        roster = load_roster(
            needed(asked.roster, "--roster"), operator_public(needed(asked.operator, "--operator"))
        )
        if len(roster.devices) < settings.least_devices:
            raise ConfigError(
                f"{asked.roster}: {len(roster.devices)} devices, a round needs {settings.least_devices} "
                "(the settings' least_devices): enrol more, or lower that"
            )
    return package.path, settings


def open_job(folder: JobFolder, asked: Asked, fleet: TryOutFleet | None, *, resume: bool) -> Job:
    """Return the job of a folder, as `check_job` allowed it: a new one, or with `resume` the one that is there.

    Raises:
        SplitNetError: a file was changed meanwhile.
    """
    if resume:
        return folder.job()
    package = open_package(needed(asked.package, "--package"))
    job = Job(
        run=secrets.token_hex(8),
        package=package.path.resolve(),
        roster=(needed(asked.roster, "--roster") if fleet is None else fleet.roster).resolve(),
        operator=operator_public(needed(asked.operator, "--operator")) if fleet is None else fleet.operator,
        ledger=(asked.ledger or folder.path / "privacy.json").resolve(),
        settings=read_settings(asked.settings, asked.rounds),
    )
    folder.create(job, initial_parameters(package))
    return job


def needed(value: Path | None, option: str) -> Path:
    """Return the value of an option that a new job needs.

    Raises:
        InvalidArgumentError: it was not given.
    """
    if value is None:
        raise InvalidArgumentError(f"a new job needs {option}")
    return value


def read_settings(path: Path | None, rounds: int | None) -> FederatedSettings:
    """Read a settings file, TOML or, by its name, JSON; None is all defaults.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is wrong.
    """
    try:
        if path is None:
            settings = FederatedSettings()
        elif path.suffix == ".json":
            settings = FederatedSettings.model_validate_json(path.read_bytes())
        else:
            settings = FederatedSettings.model_validate(read_toml(path))
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except ValidationError as err:
        raise ConfigError(f"{path}: {describe(err, FederatedSettings)}") from err
    return settings if rounds is None else settings.model_copy(update={"rounds": rounds})


def initial_parameters(package: Package) -> Vector:
    """Return the trainable parameters as the package has them, float32 `[d]`.

    Raises:
        ConfigError: nothing in the package is trainable, or the extra that reads it is not installed.
    """
    try:
        from splitnet.graph import read_initialisers
    except ModuleNotFoundError as err:
        raise ConfigError(f"a job needs {err.name}: pip install 'splitnet[federated-server]'") from err
    if not package.manifest.training:
        raise ConfigError(f"{package.path}: nothing in it is trainable; partition with --trainable exits")
    training = package.manifest.training[0]
    segment = next(each for each in package.manifest.segments if each.id == training.segment)
    names = {entry.name for entry in training.parameters}
    return flatten(training.parameters, read_initialisers(package.path / segment.file, names))
