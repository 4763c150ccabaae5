"""What is said of a wrong file: the key, what is expected and what is there, and never in pydantic's words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from splitnet.config import CloudConfig, EdgeConfig, describe, load_config
from splitnet.config.expected import expected
from splitnet.config.findings import find
from splitnet.errors import ConfigError
from splitnet.learn.settings import FederatedSettings
from splitnet.package import Manifest
from tests.config.wrong_files import CASES, KINDS

#: Errors that a node of a core schema may end in, by its type, and by its limits.
ERRORS = {
    "bool": {"bool_type"},
    "bytes": {"bytes_type"},
    "dataclass": {"dataclass_type"},
    "dataclass-args": {"missing", "unexpected_keyword_argument"},
    "dict": {"dict_type"},
    "float": {"float_type", "finite_number"},
    "function-after": {"value_error"},
    "function-before": {"value_error", "quantity"},
    "int": {"int_type"},
    "is-instance": {"path_type"},
    "list": {"list_type"},
    "literal": {"literal_error"},
    "model": {"model_type"},
    "model-fields": {"missing", "extra_forbidden"},
    "str": {"string_type"},
    "tuple": {"tuple_type"},
} | {
    kind: set[str]()
    for kind in (
        *("dataclass-field", "default", "definition-ref", "definitions", "json-or-python", "lax-or-strict"),
        *("model-field", "nullable", "union"),
    )
}
LIMITS = {"ge": "greater_than_equal", "gt": "greater_than", "le": "less_than_equal", "lt": "less_than"}
LENGTHS = {"min_length": "short", "max_length": "long"}


def refusal(kind: Any, value: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return caught.value


@pytest.mark.parametrize(("kind", "value", "error", "text"), CASES, ids=[case[3][:60] for case in CASES])
def test_each_kind_of_error_is_put_in_our_words(kind: Any, value: Any, error: str, text: str) -> None:
    found = refusal(kind, value)
    assert error in {item["type"] for item in found.errors()}
    assert text in {each.text for each in find(found, kind)}


def nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every part of a core schema that has a type."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema
        for key, inner in schema.items():
            if key not in ("metadata", "serialization", "function"):
                yield from nodes(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from nodes(inner)


def possible(node: Mapping[str, Any]) -> set[str]:
    """The errors that a node of a core schema can end in."""
    found = ERRORS[node["type"]] | {error for limit, error in LIMITS.items() if limit in node}
    sized = "string_too_" if node["type"] == "str" else "too_"
    found |= {sized + length for limit, length in LENGTHS.items() if limit in node}
    return found | ({"string_pattern_mismatch"} if "pattern" in node else set())


def test_every_kind_of_error_of_every_file_has_a_case() -> None:
    schemas = [TypeAdapter(kind).core_schema for kind in KINDS]
    errors = set[str]().union(*(possible(node) for schema in schemas for node in nodes(schema)))
    assert errors <= {error for _, _, error, _ in CASES}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_there_are_words_for_whatever_is_expected(kind: Any) -> None:
    root = TypeAdapter(kind).json_schema()
    below = [
        inner
        for table in (root, *root.get("$defs", {}).values())
        for inner in table.get("properties", {}).values()
    ]
    assert all(expected(inner, root) for inner in (root, *below))


def test_a_union_is_told_once_and_nothing_of_what_follows() -> None:
    texts = [each.text for each in find(refusal(Manifest, {"model": {"inputs": [{"shape": ["b"]}]}}), Manifest)]
    assert len([text for text in texts if "shape[0]" in text]) == 1
    assert not [text for text in texts if text.startswith("model.inputs: ")]


def test_of_many_findings_the_first_few_are_told() -> None:
    text = describe(refusal(CloudConfig, dict.fromkeys("abcdefg", 1)), CloudConfig)
    assert text.count(": missing, ") + text.count(": unknown key, ") == 5
    assert text.endswith("; and 4 more")


def test_a_text_that_is_no_json_says_where() -> None:
    with pytest.raises(ValidationError) as caught:
        FederatedSettings.model_validate_json('{"rounds": 5,}')
    assert describe(caught.value, FederatedSettings) == "the whole: not JSON: trailing comma at line 1 column 14"


def test_what_an_option_did_wrong_is_not_told_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text('package = "p"\nlisten = 3\n[tls]\ndirectory = 4\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(EdgeConfig, path, {"upstream": "h", "tls": {"upstream_name": ""}})
    assert str(caught.value) == (
        f"{path}: tls.directory: expected the directory of this machine's certificate (--tls DIR), as `splitnet "
        "keys certificate` makes it, got 4; listen: expected HOST:PORT as text, such as '127.0.0.1:8001', got 3; "
        "command line: tls.upstream_name: expected text of 1 to 253 characters, got ''; upstream: address 'h': "
        "expected HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:8001"
    )


def test_an_option_leaves_the_other_keys_of_its_table(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(
        'package = "p"\nlisten = "h:1"\n[tls]\ndirectory = "d"\nupstream_name = "n"\n', encoding="utf-8"
    )
    tls = load_config(EdgeConfig, path, {"tls": {"upstream_name": "cloud"}}).tls
    assert tls is not None
    assert (tls.directory, tls.upstream_name) == (Path("d"), "cloud")
