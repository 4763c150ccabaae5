"""Whatever TOML value stands at whatever place of a tier's file: it is taken, or refused in our words."""

import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from splitnet.config import CloudConfig, DeviceConfig, EdgeConfig, TierConfig, load_config
from splitnet.config.expected import Schema, branches
from splitnet.errors import ConfigError

#: As pydantic puts it.
PYDANTICS = ("Input should", "type=", "pydantic", "instance of", "Extra inputs", "Field required", "should have")

Loc = tuple[str | int, ...]


def places(kind: type[BaseModel]) -> Iterator[Loc]:
    """Where a file for `kind` may hold a value: every key, those of its tables, and entries of its lists."""
    root = TypeAdapter(kind).json_schema()

    def within(schema: Schema, loc: Loc) -> Iterator[Loc]:
        yield loc
        for branch in branches(schema, root):
            for key, inner in branch.get("properties", {}).items():
                yield from within(inner, (*loc, key))
            if "items" in branch:
                yield from within(branch["items"], (*loc, 0))

    return (loc for loc in within(root, ()) if loc)


def table(loc: Loc, value: Any) -> Any:
    """Return the table or list that holds `value` at `loc`, and nothing else."""
    for part in reversed(loc):
        value = [value] if isinstance(part, int) else {part: value}
    return value


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)


TEXT = st.text(st.characters(codec="ascii", exclude_characters="\x7f"), max_size=200)
SCALARS = (
    st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | TEXT | st.datetimes() | st.dates() | st.times()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=9) | st.dictionaries(TEXT | st.sampled_from(["names", "load"]), inner, max_size=9)
    ),
    max_leaves=9,
)
PLACES = [(kind, loc) for kind in (CloudConfig, EdgeConfig, DeviceConfig) for loc in places(kind)]


def test_places_lie_deep() -> None:
    assert (CloudConfig, ("access", 0, "names", 0)) in PLACES
    assert (DeviceConfig, ("adaptive", "margin")) in PLACES


@settings(max_examples=150)
@given(st.sampled_from(PLACES), VALUES)
def test_nothing_that_toml_can_say_is_answered_in_the_words_of_pydantic(
    place: tuple[type[TierConfig], Loc], value: Any
) -> None:
    kind, loc = place
    written: dict[str, Any] = {"package": "p", **({"listen": "h:1"} if "listen" in kind.model_fields else {})}
    written |= table(loc, value)
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        path = Path(file.name)
        path.write_text(
            "\n".join(f"{json.dumps(key)} = {toml(each)}" for key, each in written.items()), encoding="utf-8"
        )
        try:
            load_config(kind, path, {})
        except ConfigError as err:
            text = str(err)
        else:
            return
    assert text.startswith(f"{path}: {loc[0]}")
    assert text.isprintable()
    assert len(text) < 2000
    assert not any(word in text for word in PYDANTICS)
