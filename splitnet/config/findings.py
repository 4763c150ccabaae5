"""What pydantic finds wrong, said to whoever wrote the file: the key's path, what is expected, what is there."""

import difflib
import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from splitnet.config.expected import Schema, branches, expected, one_of, step

# Of a file full of mistakes, so many are told at once.
_MOST_FINDINGS = 5
# A wrong value, or a key, is shown up to so many characters.
_LONGEST_SHOWN = 80
# Known keys are listed up to so many where none is like the unknown one.
_MOST_KNOWN = 12
# A key that is a letter or two from one that is known here is that one, wherever else it may be known.
_ALIKE = 0.85
# More bits than these are not written out: Python refuses numbers of thousands of digits.
_MOST_BITS = 256

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        loc: its place, as pydantic gives it.
        text: the key's path, and what is wrong with it.
    """

    loc: tuple[str | int, ...]
    text: str


def describe(error: ValidationError, kind: Any) -> str:  # noqa: ANN401  (whatever pydantic validates)
    """Return what is wrong as one line.

    Args:
        error: of pydantic.
        kind: the type that was validated, which says what is expected.
    """
    return joined([each.text for each in find(error, kind)])


def joined(texts: Sequence[str]) -> str:
    """Join findings on one line, the first few of many."""
    more = f"; and {len(texts) - _MOST_FINDINGS} more" if len(texts) > _MOST_FINDINGS else ""
    return "; ".join(texts[:_MOST_FINDINGS]) + more


def find(error: ValidationError, kind: Any) -> list[Finding]:  # noqa: ANN401  (as above)
    """Return what is wrong, each once, though pydantic may say it of every member of a union."""
    root: Schema = TypeAdapter(kind).json_schema()
    items = error.errors(include_url=False)
    within = {item["loc"][:end] for item in items for end in range(len(item["loc"]))}
    told = [item for item in items if not (item["type"] == "too_short" and item["loc"] in within)]
    found = [Finding(item["loc"], _said(item, root)) for item in told]
    return list({each.text: each for each in found}.values())


def _said(item: ErrorDetails, root: Schema) -> str:
    parent, place, keys = _place(item, root)
    path = _path(keys)
    if item["type"] == "value_error":  # of our own validators, which say what was given
        return f"{path}: {item['ctx']['error']}" if path else str(item["ctx"]["error"])
    path = path or "the whole"
    if item["type"] in _UNKNOWN:
        return f"{path}: unknown key, {_instead(str(keys[-1]), parent, root)}"
    if item["type"] == "json_invalid":
        return f"{path}: not JSON: {item['ctx']['error']}"
    wanted = expected(place, root)
    if item["type"] == "missing":
        return f"{path}: missing, expected {wanted}"
    if item["type"] == "finite_number":
        wanted = wanted.replace("a number", "a finite number")
    return f"{path}: expected {wanted}, got {_shown(item)}"


def _place(item: ErrorDetails, root: Schema) -> tuple[Schema, Schema, list[str | int]]:
    """Return what holds for the table or list around a value, what for the value, and the keys that lead there."""
    around, here, keys = root, root, list[str | int]()
    for part in item["loc"]:
        if part == "[key]":  # pydantic's mark: not the value is wrong but its key
            return around, {"type": "string"} | _names(around, root), keys
        inner = step(here, part, root)
        if inner is not None:
            around, here = here, inner
            keys.append(part)
        elif item["type"] in _UNKNOWN:
            return here, here, [*keys, part]
        # Otherwise it is no place but pydantic's name for a member of a union.
    return around, here, keys


def _names(schema: Schema, root: Schema) -> dict[str, Any]:
    """What holds for the keys of a table that has any."""
    return next((dict(branch.get("propertyNames", {})) for branch in branches(schema, root)), {})


def _path(keys: Sequence[str | int]) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{_key(key)}" for key in keys)
    return "".join(parts).removeprefix(".")


def _key(key: str) -> str:
    """A key as TOML would have it in a path: in quotes where it is not bare."""
    if len(key) > _LONGEST_SHOWN:
        key = key[: _LONGEST_SHOWN - 1] + "…"
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=not key.isprintable())


def _instead(key: str, parent: Schema, root: Schema) -> str:
    """What may have been meant by an unknown key: a place where it is known, one like it, or any that is known."""
    known = [name for branch in branches(parent, root) for name in branch.get("properties", {})]
    if alike := difflib.get_close_matches(key, known, cutoff=_ALIKE):
        return f"did you mean {one_of(alike)}?"
    if homes := _homes(key, root):
        return f"it belongs {one_of(homes)}"
    if near := difflib.get_close_matches(key, known):
        return f"did you mean {one_of(near)}?"
    return f"known here are {', '.join(known[:_MOST_KNOWN])}{', …' if len(known) > _MOST_KNOWN else ''}"


def _homes(key: str, root: Schema) -> list[str]:
    """Where else a file may have the key: TOML takes what follows a table's head for a key of that table."""
    (top, *_) = branches(root, root)
    tables = {
        name: table
        for name, entry in top.get("properties", {}).items()
        for table in branches(entry, root)
        if key in table.get("properties", {})
    }
    above = ["at the top of the file, above the first table"] if key in top.get("properties", {}) else []
    return above or [f"in [{_key(name)}]" for name in tables]


def _shown(item: ErrorDetails) -> str:
    text = _SHORT.repr(item["input"])
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


class _Short(reprlib.Repr):
    """Short forms of values as files have them."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = _LONGEST_SHOWN

    def repr_bool(self, value: bool, _level: int) -> str:  # noqa: FBT001  (reprlib finds it by name and calls it so)
        return "true" if value else "false"

    def repr_NoneType(self, _value: None, _level: int) -> str:  # noqa: N802  (the type's name)
        return "null"

    def repr_tuple(self, value: tuple[Any, ...], level: int) -> str:
        """What a validator of ours made of a list."""
        return self.repr_list(list(value), level)

    def repr_int(self, value: int, level: int) -> str:
        """A number, unless Python would refuse to write it out."""
        if value.bit_length() > _MOST_BITS:
            return f"a number of {value.bit_length()} bits"
        return super().repr_int(value, level)


_SHORT = _Short()
