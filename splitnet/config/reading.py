"""Reading what people write: immutable, validated objects from TOML, and errors that name the key."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from splitnet.errors import ConfigError, NotFoundError

Model = TypeVar("Model", bound=BaseModel)

# A wrong value is shown with its error up to so many characters.
_LONGEST_SHOWN = 80


class Frozen(BaseModel):
    """Base of everything read from a file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
