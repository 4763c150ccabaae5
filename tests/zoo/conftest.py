"""Networks exported once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from splitnet.partition.torch_export import export_module
from tests.zoo.architectures import ARCHITECTURES, Size

#: Returns the ONNX file of an architecture's small network, by name.
Exported = Callable[[str], Path]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Exports a small network on first use."""
    folder = tmp_path_factory.mktemp("zoo")

    def export(name: str) -> Path:
        path = folder / f"{name}.onnx"
        return path if path.exists() else export_network(name, path, size="small")

    return export


def export_network(name: str, path: Path, *, size: Size) -> Path:
    """Export one of the architectures with seeded random weights."""
    torch.manual_seed(0)
    return export_module(ARCHITECTURES[name].build(size), path, source=name)
