"""The deployment file: which machines are device, edge and cloud, and what links join them."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from splitnet.config import Frozen, Model, describe, read_toml
from splitnet.cost.library import completed, library
from splitnet.cost.links import Link, LinkEntry
from splitnet.cost.machines import Machine, MachineEntry
from splitnet.errors import ConfigError, SplitNetError
from splitnet.tiers import TIERS, Tier

#: What is assumed where no deployment file is given; `default_site` reads it.
DEFAULT_SITE_TOML = """\
[site]
device = "pi-zero"
edge = "edge-box"
cloud = "server"

# A Raspberry Pi Zero 2 runs a convolutional network roughly ten times slower than one core of a laptop.
[machine.pi-zero]
speed = 0.1
description = "Raspberry Pi Zero class, one thread"

# Edge and cloud as fast as the machine that profiles: nothing is won by assuming a faster server.
[machine.edge-box]
speed = 1.0
description = "as fast as the machine that profiled, one thread"

[machine.server]
speed = 1.0
description = "as fast as the machine that profiled, one thread"

# Wi-Fi in a building.
[link.device-edge]
bandwidth = "20M"
delay_ms = 5

# A wide-area connection within a continent.
[link.edge-cloud]
bandwidth = "100M"
delay_ms = 40
"""


class Site(Frozen):
    """The three machines, in the order in which a sample meets them, and the links between them.

    Attributes:
        device: where samples come from.
        edge: the middle tier.
        cloud: the last tier.
        links: device to edge, edge to cloud.
    """

    device: Machine
    edge: Machine
    cloud: Machine
    links: tuple[Link, Link]


class _Tiers(Frozen):
    device: str
    edge: str
    cloud: str
    machines: list[str] = Field(default_factory=list)


class _Links(Frozen):
    device_edge: LinkEntry = Field(alias="device-edge")
    edge_cloud: LinkEntry = Field(alias="edge-cloud")


class _MachineFile(Frozen):
    machine: dict[str, MachineEntry] = Field(default_factory=dict)


class _SiteFile(_MachineFile):
    site: _Tiers
    link: _Links


def load_site(path: Path, reference_gflops: Callable[[], float] | None = None) -> Site:
    """Read a deployment file, the files of machines that it names, and the traces of its links.

    Args:
        path: the file; names of files in it are relative to its folder.
        reference_gflops: measures the machine that profiles, in the GFLOP/s of docs/site.md; called once, and only
            where a machine's speed is absolute. None: such machines are refused.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read, is not TOML, or a key is unknown, missing or out of range; the message
            names the file and the key's path, as in `machine.pi.speed`.
    """
    read = _valid(_SiteFile, read_toml(path), str(path))
    defined = dict(_defined(read, path))
    measure = cache(reference_gflops) if reference_gflops is not None else None
    machines = {
        tier: _machine(getattr(read.site, tier), f"{path}: site.{tier}", defined, measure) for tier in TIERS
    }
    try:
        return _site(machines, read.link, path.parent)
    except SplitNetError as err:  # of the file of a trace
        raise type(err)(f"{path}: link: trace: {err}") from err


def default_site() -> Site:
    """Return what is assumed without a deployment file, `DEFAULT_SITE_TOML`."""
    source = "the default deployment"
    read = _valid(_SiteFile, tomllib.loads(DEFAULT_SITE_TOML), source)
    machines = {tier: _machine(getattr(read.site, tier), source, read.machine, None) for tier in TIERS}
    return _site(machines, read.link, Path())


def _site(machines: Mapping[Tier, Machine], links: _Links, folder: Path) -> Site:
    return Site(
        device=machines["device"],
        edge=machines["edge"],
        cloud=machines["cloud"],
        links=(links.device_edge.link(folder), links.edge_cloud.link(folder)),
    )


def _valid(kind: type[Model], values: dict[str, Any], source: str) -> Model:
    try:
        return kind.model_validate(values)
    except ValidationError as err:
        raise ConfigError(f"{source}: {describe(err, kind)}") from err


def _defined(read: _SiteFile, path: Path) -> Iterator[tuple[str, MachineEntry]]:
    """Yield the machines of the deployment file and of the files that it names, each name once."""
    yield from read.machine.items()
    origin = dict.fromkeys(read.machine, path)
    for name in read.site.machines:
        other = path.parent / name
        for machine, entry in _valid(_MachineFile, read_toml(other), str(other)).machine.items():
            if machine in origin:
                raise ConfigError(
                    f"{other}: machine.{machine}: defined in {origin[machine]} as well; rename one of them"
                )
            origin[machine] = other
            yield machine, entry


def _machine(
    name: str, source: str, defined: Mapping[str, MachineEntry], reference_gflops: Callable[[], float] | None
) -> Machine:
    """Return the machine `name`: of the file, or else of the library."""
    entry = defined.get(name) or library().get(name)
    if entry is None:
        known = ", ".join(sorted(defined)) or "none"
        raise ConfigError(
            f"{source}: there is no [machine.{name}]; defined are: {known}; "
            f"the library has: {', '.join(library())}"
        )
    try:
        return completed(entry, name).machine(name, reference_gflops)
    except ConfigError as err:
        raise ConfigError(f"{source}: {err}") from err
