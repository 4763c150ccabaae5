"""Addresses of tiers: HOST:PORT as people write it, one or several."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from splitnet.errors import ConfigError

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


#: As files have it, and messages say it.
_ONE = {"type": "string", "description": "HOST:PORT as text, such as '127.0.0.1:8001'"}
_SEVERAL = {"type": "array", "items": _ONE, "description": "'HOST:PORT', or several as 'A:1,B:2' or a list"}

Address = Annotated[
    tuple[str, Annotated[int, Field(ge=0, le=65535)]],
    BeforeValidator(_address),
    PlainSerializer(format_address),
    WithJsonSchema(_ONE),
]


def _several(value: Any) -> Any:  # noqa: ANN401  (as above)
    if isinstance(value, str):
        value = value.split(",")
    return tuple(_address(one) for one in value) if isinstance(value, list | tuple) else value


#: One address or several, as "A:1,B:2" or a list of such.
Addresses = Annotated[
    tuple[Address, ...], Field(min_length=1, max_length=64), BeforeValidator(_several), WithJsonSchema(_SEVERAL)
]
