"""The library of machines that ships with SplitNet, each figure with its source."""

import tomllib
from functools import cache
from importlib import resources

from pydantic import TypeAdapter

from splitnet.cost.machines import MachineEntry
from splitnet.errors import ConfigError

_ENTRIES = TypeAdapter(dict[str, MachineEntry])


@cache
def library() -> dict[str, MachineEntry]:
    """Return the machines of `machines.toml` by name, with absolute speeds."""
    text = resources.files("splitnet.cost").joinpath("machines.toml").read_text(encoding="utf-8")
    return _ENTRIES.validate_python(tomllib.loads(text)["machine"])


def completed(entry: MachineEntry, name: str) -> MachineEntry:
    """Return `entry` with what it leaves out taken from the machine of the library that it names, if it names one.

    Raises:
        ConfigError: the library has no such machine.
    """
    if entry.library is None:
        return entry
    base = library().get(entry.library)
    if base is None:
        raise ConfigError(
            f"machine.{name}.library: there is no {entry.library!r} in the library; it has: {', '.join(library())}"
        )
    return entry.over(base)
