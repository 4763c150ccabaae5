"""Reading what people write: validated objects from TOML and the command line."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from splitnet.config.findings import find, joined
from splitnet.errors import ConfigError, NotFoundError

Model = TypeVar("Model", bound=BaseModel)


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
    except OSError as err:
        raise ConfigError(f"{path}: not a readable TOML file: {err.strerror}") from err
    except (ValueError, RecursionError) as err:  # of tomllib: syntax, 5,000 digits, deep nesting
        raise ConfigError(f"{path}: not a readable TOML file: {err}") from err


def load_config(kind: type[Model], path: Path | None, overrides: Mapping[str, Any]) -> Model:
    """Build a program's configuration from `path` and the command line, which wins.

    Args:
        kind: one of the configuration classes of this module.
        path: a TOML file, or None.
        overrides: options by key, of a table a mapping of some of its keys; those that are None were not given.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: a key is unknown, missing, or its value is not what is expected; the message names the file.
    """
    options = {key: _plain(value) for key, value in overrides.items() if value is not None}
    try:
        return kind.model_validate(_over(read_toml(path) if path is not None else {}, options))
    except ValidationError as err:
        told: dict[str, list[str]] = {}
        for each in find(err, kind):
            source = "command line" if path is None or _holds(options, each.loc) else str(path)
            told.setdefault(source, []).append(each.text)
        raise ConfigError("; ".join(f"{source}: {joined(texts)}" for source, texts in told.items())) from err


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return a number of numpy's, as programs have them, as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _over(values: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with the options in place of the same keys, also of tables."""
    merged = dict(values)
    for key, option in options.items():
        below = merged.get(key)
        merged[key] = below | option if isinstance(below, dict) and isinstance(option, dict) else option
    return merged


def _holds(options: Mapping[str, Any], loc: tuple[str | int, ...]) -> bool:
    """Whether what is at `loc` came from the options."""
    value: Any = options
    for part in loc:
        if not isinstance(value, dict):
            return True
        if part not in value:
            return False
        value = value[part]
    return bool(loc)
