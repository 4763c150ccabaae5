"""A fleet for a try-out: keys, a roster and state directories for devices that all live on this machine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitnet.emulate.federation import LocalNode
from splitnet.learn.identity import DeviceState, enrol_devices, load_roster, make_operator, operator_public
from splitnet.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class TryOutDevice:
    """One device.

    Attributes:
        name: of its files.
        site: its cohort.
        store: file of its samples.
    """

    name: str
    site: str
    store: Path


@dataclass(frozen=True, slots=True)
class TryOutFleet:
    """What `make_fleet` made.

    Attributes:
        operator: the operator's raw public key.
        roster: the signed roster.
        states: state directory by device name.
        ids: device id by device name.
    """

    operator: bytes
    roster: Path
    states: Mapping[str, Path]
    ids: Mapping[str, str]

    @property
    def nodes(self) -> tuple[LocalNode, ...]:
        """The SuperNodes of the devices, for `LocalFederation`."""
        return tuple(LocalNode(name, {"state": str(path)}) for name, path in self.states.items())


def make_fleet(
    folder: Path, package: Path, devices: Sequence[TryOutDevice], *, model: str, terms: Mapping[str, object]
) -> TryOutFleet:
    """Make operator, devices and roster in a new folder.

    Args:
        folder: for everything; made if missing.
        package: that each device serves.
        devices: which.
        model: name of the model, for the roster.
        terms: further keys of each device's `federated.toml`: numbers and booleans.

    Raises:
        ConfigError: the folder has a fleet already.
        OperatorError: the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    operator = make_operator(folder / "operator")
    states = {device.name: DeviceState.create((folder / device.name).resolve()) for device in devices}
    enrolments = [states[device.name].enrolment(device.name, device.site)[0] for device in devices]
    roster = folder / "roster.json"
    enrol_devices(roster, operator, enrolments=enrolments, model=model)
    for device in devices:
        state = states[device.name]
        state.trust(operator.public)
        write_whole(_terms(package, device.store, terms).encode(), state.path / "federated.toml")
    return TryOutFleet(
        operator.public,
        roster,
        {name: state.path for name, state in states.items()},
        {enrolment.name: enrolment.id for enrolment in enrolments},
    )


def read_fleet(folder: Path) -> TryOutFleet:
    """Return the fleet that `make_fleet` made in a folder.

    Raises:
        NotFoundError: there is none.
    """
    roster = folder / "roster.json"
    operator = operator_public(folder / "operator")
    devices = load_roster(roster, operator).devices
    states = {device.name: (folder / device.name).resolve() for device in devices}
    return TryOutFleet(operator, roster, states, {device.name: device.id for device in devices})


def _terms(package: Path, store: Path, terms: Mapping[str, object]) -> str:
    # TOML writes text as JSON does, but for characters above the basic plane, which are left as they are.
    paths = {"package": package.resolve(), "store": store.resolve()}
    lines = [f"{key} = {json.dumps(str(path), ensure_ascii=False)}" for key, path in paths.items()]
    return "\n".join([*lines, *(f"{key} = {str(value).lower()}" for key, value in terms.items())]) + "\n"
