"""Real architectures and PyTorch go through the whole of `splitnet partition`."""

from pathlib import Path
from typing import Any

import pytest

from splitnet.partition.source import open_source
from tests.partition.jobs import job
from tests.zoo.architectures import ARCHITECTURES
from tests.zoo.conftest import Exported

FACTORY = """
import torch

def small():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)), torch.ones(1, 6)
"""


def check(found: dict[str, Any]) -> None:
    """The split is one, and bit-equal as verified."""
    assert len(found["plan"]["segments"]) > 1
    assert all(found["plan"]["cuts"])
    assert found["verification"]["level"] == "bit-equal"
    assert found["verification"]["max_abs"] == 0.0
    assert found["verification"]["samples"] >= 1 + 3 + 5


#: In every run; the others with `-m slow`.
QUICK = ("vit", "gpt2", "unet")
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ARCHITECTURES]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_split_and_verified(name: str, exported: Exported, tmp_path: Path) -> None:
    result = job(exported(name), tmp_path, codec="none", place="split")
    check(result.to_json())
    assert result.package.check() > 0


def test_a_torch_factory_is_split_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small_network.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    model = open_source("small_network:small", workdir=tmp_path)
    check(job(model, tmp_path, codec="none", place="split").to_json())
