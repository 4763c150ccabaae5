"""The fleet's machines before anything runs: keys, an operator who enrols them, and a folder of state for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splitnet.learn.identity import DeviceState, enrol_devices, make_operator, read_enrolment
from splitnet.whole_file import write_whole

#: All stand on one site: they form one cohort.
SITE = "factory"


@dataclass(frozen=True, slots=True)
class Machines:
    """The fleet on disk.

    Attributes:
        roster: the operator's signed roster.
        operator: the file with the operator's public key.
        states: each device's state directory, by name.
    """

    roster: Path
    operator: Path
    states: dict[str, Path]

    def store(self, device: str) -> Path:
        """Return the file in which a device keeps its samples."""
        return self.states[device] / "samples.db"


def set_up(folder: Path, names: Sequence[str], package: Path, model: str) -> Machines:
    """Make the keys, enrol every device, and have it trust the operator.

    Args:
        folder: for everything; made if missing.
        names: of the devices.
        package: that they serve.
        model: its name.

    Raises:
        OperatorError: the disk refuses.
    """
    states = {name: folder / name for name in names}
    machines = Machines(folder / "roster.json", folder / "operator" / "operator.pub", states)
    operator = make_operator(folder / "operator")
    enrolments = []
    for name, path in states.items():
        state = DeviceState.create(path)
        _, file = state.enrolment(name, SITE)
        enrolments.append(read_enrolment(file))
        state.trust(operator.public)
        terms = f'package = "{package}"\nstore = "{machines.store(name)}"\n'
        write_whole(terms.encode(), path / "federated.toml")
    enrol_devices(machines.roster, operator, enrolments=enrolments, model=model)
    return machines
