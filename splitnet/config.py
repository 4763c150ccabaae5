"""The configuration of each program: one frozen, validated object, read once from TOML and the command line."""

import ipaddress
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from splitnet.errors import ConfigError, NotFoundError

Model = TypeVar("Model", bound=BaseModel)

# A wrong value is shown with its error up to so many characters.
_LONGEST_SHOWN = 80

_PORT = re.compile(r"[0-9]{1,5}")


def parse_address(text: str) -> tuple[str, int]:
    """Parse `HOST:PORT`; port 0 asks the system for a free one.

    Raises:
        ConfigError: there is no colon, the host is empty or the port is not 0-65535.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ConfigError(
            f"address {text!r}: expected HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:8001"
        )
    return host, int(port)


def format_address(address: tuple[str, int]) -> str:
    """Return `HOST:PORT`, with brackets around an IPv6 host."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host`, a literal address or "localhost", is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(value: Any) -> Any:  # noqa: ANN401  (pydantic hands over whatever the file holds)
    if not isinstance(value, str):
        return value
    try:
        return parse_address(value)
    except ConfigError as err:
        raise ValueError(str(err)) from err


Address = Annotated[
    tuple[str, Annotated[int, Field(ge=0, le=65535)]],
    BeforeValidator(_address),
    PlainSerializer(format_address),
]


class Frozen(BaseModel):
    """Base of everything read from a file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TierConfig(Frozen):
    """What every tier program has.

    Attributes:
        package: directory of the package (`OUT.split`).
        workers: threads that compute; each runs one request at a time.
        queue_limit: requests that may wait or run at once; past it RESOURCE_EXHAUSTED.
        max_message_bytes: largest message sent or taken, bytes.
        max_batch: most samples in one request.
        deadline_ms: the most that a request may take, milliseconds, whatever longer deadline it states.
        emulated_speed: run segments at this fraction of this machine's speed (an emulation of a
            slower one: the thread sleeps for the rest of the scaled CPU time); None runs at full speed.
    """

    package: Path
    workers: int = Field(1, ge=1, le=256)
    queue_limit: int = Field(256, ge=1, le=65536)
    max_message_bytes: int = Field(64 * 2**20, ge=4096, le=2**30)
    max_batch: int = Field(1024, ge=1, le=65536)
    deadline_ms: float = Field(10_000.0, gt=0, le=3_600_000)
    emulated_speed: float | None = Field(None, gt=0, le=1)


class CloudConfig(TierConfig):
    """The cloud program.

    Attributes:
        listen: host and port; port 0 takes a free one.
        max_streams: streams open at a time.
        grace_s: how long what is in flight may take after SIGTERM, seconds.
        repository: directory of the packages that a caller may have loaded; None is that of `package`.
        allow_load: whether callers may load and unload versions; None allows it where only this machine is
            listened to.
    """

    listen: Address
    grace_s: float = Field(10.0, ge=0, le=3600)
    max_streams: int = Field(64, ge=1, le=4096)
    repository: Path | None = None
    allow_load: bool | None = None

    @property
    def may_load(self) -> bool:
        """Whether calls to load and unload are taken."""
        return is_loopback(self.listen[0]) if self.allow_load is None else self.allow_load


class EdgeConfig(CloudConfig):
    """The edge program.

    Attributes:
        upstream: the cloud above it; None answers alone.
        window: requests in flight to the cloud.
    """

    upstream: Address | None = None
    window: int = Field(64, ge=1, le=4096)


#: Which samples a full store keeps: the newest, or a uniform draw from all that came.
StorePolicy = Literal["fifo", "reservoir"]


class DeviceConfig(TierConfig):
    """The device program.

    Attributes:
        upstream: the edge above it; None answers alone.
        window: requests in flight to the edge.
        in_flight: samples of a file under way at a time.
        store: file in which samples are kept to learn from; None keeps none.
        store_limit_bytes: largest size of that file, bytes.
        store_policy: which samples stay when it is full.
        recent: the last so many samples stay in memory, for labels of samples that the store does not hold.
    """

    upstream: Address | None = None
    deadline_ms: float = Field(1_000.0, gt=0, le=3_600_000)
    window: int = Field(64, ge=1, le=4096)
    in_flight: int = Field(8, ge=1, le=4096)
    store: Path | None = None
    store_limit_bytes: int = Field(256 * 2**20, ge=2**20, le=2**40)
    store_policy: StorePolicy = "fifo"
    recent: int = Field(64, ge=0, le=65536)

    @model_validator(mode="after")
    def _fits_the_window(self) -> Self:
        most = min(self.window, self.queue_limit)
        if self.in_flight > most:
            raise ValueError(f"in_flight {self.in_flight} is more than window or queue_limit allow ({most})")
        return self


def describe(error: ValidationError) -> str:
    """Return pydantic's findings as one line: each key's path, what is wrong and what was there."""
    return "; ".join(_finding(item) for item in error.errors())


def _finding(item: ErrorDetails) -> str:
    path = ".".join(_key(part) for part in item["loc"]) or "the whole"
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    if item["type"] == "missing":
        return f"{path}: missing"
    if item["type"] == "value_error":  # our own, which says what was given
        return f"{path}: {item['msg'].removeprefix('Value error, ')}"
    given = repr(item["input"])
    return f"{path}: {item['msg']}" + (f"; got {given}" if len(given) <= _LONGEST_SHOWN else "")


def _key(part: str | int) -> str:
    """A key as TOML would have it in a path: in quotes where it is not bare."""
    return str(part) if re.fullmatch(r"[A-Za-z0-9_-]+", str(part)) else json.dumps(part, ensure_ascii=False)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read or is not TOML; the message gives line and column.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except (OSError, ValueError, RecursionError) as err:  # of tomllib: syntax, 5,000 digits, deep nesting
        raise ConfigError(f"{path}: not a readable TOML file: {err}") from err


def load_config(kind: type[Model], path: Path | None, overrides: dict[str, Any]) -> Model:
    """Build a program's configuration from `path` and the command line, which wins.

    Args:
        kind: one of the configuration classes of this module.
        path: a TOML file, or None.
        overrides: options by key; those that are None were not given.

    Raises:
        ConfigError: a key is unknown, missing, or its value is out of range.
    """
    values = read_toml(path) if path is not None else {}
    values |= {key: value for key, value in overrides.items() if value is not None}
    try:
        return kind.model_validate(values)
    except ValidationError as err:
        source = str(path) if path is not None else "command line"
        raise ConfigError(f"{source}: {describe(err)}") from err
