"""What a field may hold, in the words of whoever writes the file: read from the field's JSON Schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

#: A JSON Schema as pydantic makes it of an annotation, or a part of one.
Schema: TypeAlias = Mapping[str, Any]

# A table's keys are listed up to so many.
_MOST_KEYS = 8

_PLURALS = {"integer": "whole numbers", "number": "numbers", "array": "lists", "object": "tables"}


def resolved(schema: Schema, root: Schema) -> Schema:
    """Return `schema`, or what it refers to within `root`."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def branches(schema: Schema, root: Schema) -> Iterator[Schema]:
    """Yield what a value may be, null left out: a file that has a key gives it a value."""
    schema = resolved(schema, root)
    for branch in schema.get("anyOf", [schema]):
        found = resolved(branch, root)
        if "anyOf" in found:
            yield from branches(found, root)
        elif found.get("type") != "null":
            yield found


def step(schema: Schema, part: str | int, root: Schema) -> Schema | None:
    """Return what holds for the key or index `part` of a value; None where there is no such place."""
    for branch in branches(schema, root):
        if isinstance(part, int):
            fixed = branch.get("prefixItems", [])
            inner = fixed[part] if part < len(fixed) else branch.get("items")
        else:
            inner = branch.get("properties", {}).get(part, branch.get("additionalProperties"))
        if isinstance(inner, Mapping):
            return inner
    return None


def expected(schema: Schema, root: Schema) -> str:
    """Return what is expected, such as "a whole number from 1 to 256"."""
    return " or ".join(dict.fromkeys(_words(branch, root) for branch in branches(schema, root)))


def _words(schema: Schema, root: Schema) -> str:
    kind = schema.get("type")
    if "description" in schema and kind != "object":  # that of an object is the docstring of a class
        return str(schema["description"])
    if "const" in schema or "enum" in schema:
        return one_of([repr(each) for each in schema.get("enum", [schema.get("const")])])
    if kind == "array":
        return _list(schema, root)
    words = {"object": _table, "string": _text, "integer": _number, "number": _number}.get(str(kind))
    return words(schema) if words is not None else "true or false"


def one_of(words: Sequence[str]) -> str:
    """Join words as in "a, b or c"."""
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _table(schema: Schema) -> str:
    keys = list(schema.get("properties", ()))
    if not keys:
        return "a table" + (", not empty" if schema.get("minProperties") else "")
    more = ", …" if len(keys) > _MOST_KEYS else ""
    return f"a table with the key{'s' if keys[1:] else ''} {', '.join(keys[:_MOST_KEYS])}{more}"


def _list(schema: Schema, root: Schema) -> str:
    fixed = schema.get("prefixItems", [])
    if fixed and all("const" in each for each in fixed):
        return f"the list {[each['const'] for each in fixed]}"
    entry, *others = branches(fixed[0] if fixed else schema["items"], root)
    entries = "entries" if others else _PLURALS.get(entry.get("type", ""), "text")
    if "enum" in entry:
        entries = expected(entry, root)
    if fixed:
        return f"a list of {len(fixed)} {entries}"
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if most is not None:
        return f"a list of {entries}, {least} to {most} of them"
    return f"a list of {entries}" + (", not empty" if least else "")


def _text(schema: Schema) -> str:
    if schema.get("format") == "path":
        return "a path, as text"
    if "pattern" in schema:
        return f"text that matches {schema['pattern']}"
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if most is not None:
        return f"text of {least} to {most} characters"
    return "text" + (", not empty" if least else "")


def _number(schema: Schema) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{noun} from {least} to {most}"
    bounds = {
        " of at least": least,
        " above": schema.get("exclusiveMinimum"),
        " at most": most,
        " below": schema.get("exclusiveMaximum"),
    }
    return noun + " and".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
