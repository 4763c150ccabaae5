"""The deployment file: which machines are device, edge and cloud, and what links join them."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from splitnet.config import Frozen, describe, read_toml
from splitnet.errors import ConfigError, InvalidArgumentError
from splitnet.units import parse_rate

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


def _bits_a_second(value: Any) -> float:  # noqa: ANN401 -- whatever the file holds
    """Read a bandwidth for pydantic, which collects the error with its path."""
    try:
        return parse_rate(value)
    except (InvalidArgumentError, TypeError, ValueError, OverflowError) as err:
        raise PydanticCustomError("rate", "expected bits a second above zero, such as 20000000 or '20M'") from err


_Positive: TypeAlias = Annotated[float, Field(gt=0)]
_Milliseconds: TypeAlias = Annotated[float, Field(ge=0)]


class _Strict(Frozen):
    """A number in quotes is an error too."""

    model_config = ConfigDict(strict=True)


class _MachineEntry(_Strict):
    speed: _Positive
    description: str = ""


class Machine(_MachineEntry):
    """A machine that a tier runs on.

    Attributes:
        name: its key in the file.
        speed: relative to the machine that profiles, which is 1.0; a time there is divided by it.
        description: free text for reports.
    """

    name: str


class Link(_Strict):
    """A link between two tiers.

    Attributes:
        bandwidth_bps: bits a second, each way.
        delay_ms: one-way delay in ms.
        jitter_ms: how much the one-way delay varies, in ms.
    """

    bandwidth_bps: _Positive
    delay_ms: _Milliseconds
    jitter_ms: _Milliseconds = 0.0


class Site(_Strict):
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


class _Tiers(_Strict):
    device: str
    edge: str
    cloud: str


class _LinkEntry(_Strict):
    bandwidth: Annotated[float, BeforeValidator(_bits_a_second)]
    delay_ms: _Milliseconds
    jitter_ms: _Milliseconds = 0.0

    def link(self) -> Link:
        return Link(bandwidth_bps=self.bandwidth, delay_ms=self.delay_ms, jitter_ms=self.jitter_ms)


class _Links(_Strict):
    device_edge: _LinkEntry = Field(alias="device-edge")
    edge_cloud: _LinkEntry = Field(alias="edge-cloud")


class _SiteFile(_Strict):
    site: _Tiers
    machine: dict[str, _MachineEntry]
    link: _Links


def load_site(path: Path) -> Site:
    """Read a deployment file.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read, is not TOML, or a key is unknown, missing or out of range; the message
            names the file and the key's path, as in `machine.pi.speed`.
    """
    return _site(read_toml(path), str(path))


def default_site() -> Site:
    """Return what is assumed without a deployment file, `DEFAULT_SITE_TOML`."""
    return _site(tomllib.loads(DEFAULT_SITE_TOML), "the default deployment")


def _site(values: dict[str, Any], source: str) -> Site:
    try:
        read = _SiteFile.model_validate(values)
    except ValidationError as err:
        raise ConfigError(f"{source}: {describe(err)}") from err
    machines = {tier: _machine(read, tier, source) for tier in ("device", "edge", "cloud")}
    return Site(**machines, links=(read.link.device_edge.link(), read.link.edge_cloud.link()))


def _machine(read: _SiteFile, tier: str, source: str) -> Machine:
    name: str = getattr(read.site, tier)
    if name not in read.machine:
        known = ", ".join(sorted(read.machine)) or "none"
        raise ConfigError(f"{source}: site.{tier}: there is no [machine.{name}]; defined are: {known}")
    return Machine(name=name, **read.machine[name].model_dump())
