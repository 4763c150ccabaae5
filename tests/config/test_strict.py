"""In every file that is read, a number is a number and true is true: neither text nor one for the other."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from splitnet.config import EdgeConfig, Frozen, load_config
from splitnet.errors import ConfigError
from splitnet.package import Manifest
from tests.config.wrong_files import KINDS
from tests.package.strategies import example


def scalars(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what a core schema says of numbers and truth values."""
    if isinstance(schema, Mapping):
        if schema.get("type") in ("int", "float", "bool"):
            yield schema
        for inner in schema.values():
            yield from scalars(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from scalars(inner)


def test_every_number_and_truth_value_is_strict() -> None:
    found = [each for kind in KINDS for each in scalars(TypeAdapter(kind).core_schema)]
    assert len(found) > 100
    assert all(each.get("strict") for each in found)


def test_all_models_have_the_one_base() -> None:
    assert [each for each in BaseModel.__subclasses__() if each.__module__.startswith("splitnet")] == [Frozen]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('workers = "8"', "workers: expected a whole number from 1 to 256, got '8'"),
        ("workers = true", "workers: expected a whole number from 1 to 256, got true"),
        ("workers = 8.0", "workers: expected a whole number from 1 to 256, got 8.0"),
        ('deadline_ms = "8"', "deadline_ms: expected a number above 0 and at most 3600000, got '8'"),
        ("grace_s = false", "grace_s: expected a number from 0 to 3600, got false"),
        ("plaintext = 1", "plaintext: expected true or false, got 1"),
        ('allow_load = "yes"', "allow_load: expected true or false, got 'yes'"),
        ('access = [{names = ["a"], load = 1}]', "access[0].load: expected true or false, got 1"),
        ('quota = {streams = "4"}', "quota.streams: expected a whole number from 1 to 4096, got '4'"),
        ('metrics = ["h", "1"]', "metrics: expected HOST:PORT as text, such as '127.0.0.1:8001', got '1'"),
    ],
)
def test_one_kind_does_not_stand_for_another(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(f'package = "p"\nlisten = "h:1"\n{text}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(EdgeConfig, path, {})
    assert str(caught.value) == f"{path}: {said}"


def test_what_files_have_for_paths_lists_and_fractions_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(
        'package = "p"\nlisten = "h:1"\nupstream = ["a:1", "b:2"]\ndeadline_ms = 8\naccess = [{names = ["a"]}]\n',
        encoding="utf-8",
    )
    config = load_config(EdgeConfig, path, {})
    assert (config.package, config.deadline_ms) == (Path("p"), 8.0)
    assert type(config.deadline_ms) is float
    assert config.upstream == (("a", 1), ("b", 2))
    assert config.access[0].names == ("a",)


def test_programs_may_give_numbers_of_numpys() -> None:
    options = {
        "package": "p",
        "listen": "h:1",
        "workers": np.int64(2),
        "deadline_ms": np.int32(8),
        "plaintext": np.bool_(1),
    }
    config = load_config(EdgeConfig, None, options)
    assert (config.workers, config.deadline_ms, config.plaintext) == (2, 8.0, True)
    with pytest.raises(ConfigError, match="workers"):
        load_config(EdgeConfig, None, options | {"workers": np.float64(2.0)})


@pytest.mark.parametrize(
    ("old", "new"),
    [('"batch_axis":0', '"batch_axis":false'), ('"n":500', '"n":"500"'), ('"value":12.5', '"value":"12.5"')],
)
def test_a_manifest_is_held_to_the_same_as_text_and_as_objects(old: str, new: str) -> None:
    good = example().manifest.model_dump_json()
    bad = good.replace(old, new, 1)
    assert good != bad
    assert Manifest.model_validate_json(good) == Manifest.model_validate(json.loads(good))
    with pytest.raises(ValidationError):
        Manifest.model_validate_json(bad)
    with pytest.raises(ValidationError):
        Manifest.model_validate(json.loads(bad))
