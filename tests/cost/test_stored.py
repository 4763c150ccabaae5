"""Profiles on disk, whole and broken."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.cost import NodeTime, ProfiledMachine, StoredProfile, read_profile, write_profile
from splitnet.errors import ConfigError, NotFoundError, OperatorError

TIMES = st.floats(0, 1e6, allow_nan=False)
NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
PROFILES = st.builds(
    StoredProfile,
    model_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    axis_sizes=st.dictionaries(NAMES, st.integers(1, 10**6), max_size=2),
    machine=st.builds(ProfiledMachine, name=NAMES, cpu=NAMES, cores=st.integers(1, 512)),
    whole_ms=st.floats(1e-6, 1e6),
    basic_ms=TIMES,
    runs=st.integers(1, 10**6),
    nodes=st.lists(st.builds(NodeTime, name=NAMES, op=NAMES, ms=TIMES), min_size=1, max_size=4).map(tuple),
)
GOOD: dict[str, Any] = {
    "format_version": 1,
    "model_sha256": "a" * 64,
    "axis_sizes": {"sequence": 128},
    "machine": {"name": "pi", "cpu": "Cortex-A72", "cores": 4},
    "whole_ms": 3.0,
    "basic_ms": 4.0,
    "runs": 20,
    "nodes": [{"name": "conv", "op": "Conv", "ms": 2.5}, {"name": "relu", "op": "Relu", "ms": 0.5}],
}


@settings(derandomize=True, deadline=None, max_examples=40)
@given(PROFILES)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, profile: StoredProfile) -> None:
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    write_profile(profile, path)
    assert read_profile(path) == profile


def write(folder: Path, content: object) -> Path:
    path = folder / "profile.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_good_file(tmp_path: Path) -> None:
    profile = read_profile(write(tmp_path, GOOD))
    assert profile.node_ms == {"conv": 2.5, "relu": 0.5}
    assert profile.machine == ProfiledMachine(name="pi", cpu="Cortex-A72", cores=4)
    assert profile.axis_sizes == {"sequence": 128}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, r"format_version: .*, got 2"),
        ({"model_sha256": "xyz"}, r"model_sha256: .*, got 'xyz'"),
        ({"whole_ms": 0}, r"whole_ms: .*, got 0"),
        ({"whole_ms": float("nan")}, r"whole_ms: .*, got nan"),
        ({"runs": "20"}, r"runs: .*, got '20'"),
        ({"nodes": []}, r"nodes: "),
        ({"nodes": [{"name": "a", "op": "Add", "ms": -1}]}, r"nodes\[0\]\.ms: .*, got -1"),
        ({"nodes": [{"name": "a", "ms": 1}]}, r"nodes\[0\]\.op: missing"),
        ({"machine": {"name": "pi", "cores": 0}}, r"machine\.cores: .*, got 0"),
        ({"axis_sizes": {"sequence": 0}}, r"axis_sizes\.sequence: .*, got 0"),
        ({"more": 1}, r"more: unknown key"),
    ],
)
def test_a_bad_file_names_the_key(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write(tmp_path, GOOD | change)
    with pytest.raises(ConfigError, match=message) as caught:
        read_profile(path)
    assert str(caught.value).startswith(f"{path}: not a profile: ")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"runs": 1' + "0" * 5000 + "}"])
def test_a_file_that_is_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="not a readable JSON file"):
        read_profile(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.json: no such file"):
        read_profile(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="not a readable JSON file"):
        read_profile(tmp_path)
    profile = StoredProfile.model_validate(GOOD)
    with pytest.raises(OperatorError, match="cannot be written"):
        write_profile(profile, tmp_path / "none" / "profile.json")
    with pytest.raises(OperatorError, match="cannot be written"):
        write_profile(profile, tmp_path)
    assert list(tmp_path.parent.glob(f".{tmp_path.name}.*")) == []
