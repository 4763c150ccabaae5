"""PyTorch as a source: factories and saved programs become ONNX files that answer as the module does."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from splitnet.errors import ModelError, NotFoundError, OperatorError, SplitNetError
from splitnet.graph import input_specs, load_model
from splitnet.partition.source import open_source
from splitnet.tensors import TensorSpec
from tests.graph.running import run

#: A module as a person would write it, found in the current directory.
FACTORIES = """
import torch

class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.drop = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, 4), torch.nn.Dropout(0.9)

    def forward(self, image, scale):
        return self.drop(self.head(self.conv(image).mean((2, 3)))) * scale

class Two(torch.nn.Module):
    example_inputs = (torch.ones(1, 6),)

    def forward(self, tokens):
        return {"total": tokens.sum(1), "doubled": tokens * 2}

class OneAtATime(torch.nn.Module):
    def forward(self, x):
        return x.view(1, 4, 3).sum(1), x + 1

class Deciding(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else x * 2

class Any(torch.nn.Module):
    def forward(self, *xs, flag=True):
        return xs[0]

def positional():
    print("a module that talks")
    return Scaled(), (torch.ones(1, 3, 8, 8), torch.ones(1, 1))

def named():
    return Scaled(), {"scale": torch.ones(2, 1), "image": torch.ones(2, 3, 8, 8)}

class Nested:
    two = Two

def one_at_a_time():
    return OneAtATime(), torch.ones(1, 12)

def without_examples():
    return Scaled()

def too_few():
    return Scaled(), torch.ones(1, 3, 8, 8)

def unfit():
    return torch.nn.Linear(3, 3), torch.ones(1, 4)

def no_tensor():
    return Two(), ("text",)

def spread():
    return Any(), torch.ones(1, 4)

def deciding():
    return Deciding(), torch.ones(2, 4)

def broken():
    raise ValueError("two\\nlines")

def no_module():
    return 7

table = {}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current directory, with `factories.py` in it."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "factories.py").write_text(FACTORIES)
    (folder / "importing.py").write_text("import nothing_of_that_name\n")
    (folder / "garbled.py").write_text("def (\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [entry for entry in sys.path if entry])
        yield folder
    for name in ("factories", "importing", "garbled"):
        sys.modules.pop(name, None)


def exported(source: str, folder: Path) -> Path:
    before = list(sys.path)
    path = open_source(source, workdir=folder)
    assert sys.path == before
    return path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("factory", ["positional", "named"])
def test_a_factory_answers_as_its_module_at_any_batch(
    factory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = exported(f"factories:{factory}", tmp_path)
    assert path == tmp_path / f"{factory}.onnx"
    assert capsys.readouterr().out == ""
    model = load_model(path)
    assert input_specs(model) == (
        TensorSpec("image", "float32", ("batch", 3, 8, 8)),
        TensorSpec("scale", "float32", ("batch", 1)),
    )
    module = sys.modules["factories"].Scaled().eval()
    feeds = {"image": torch.randn(5, 3, 8, 8), "scale": torch.randn(5, 1)}
    (answer,) = run(model, {name: tensor.numpy() for name, tensor in feeds.items()}).items()
    assert answer[0] == "output"
    np.testing.assert_allclose(answer[1], module(**feeds).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("folder")
def test_outputs_are_called_like_the_keys_that_forward_returns(tmp_path: Path) -> None:
    model = load_model(exported("factories:Nested.two", tmp_path))
    assert [value.name for value in model.graph.outputs] == ["total", "doubled"]
    assert run(model, {"tokens": np.ones((3, 6), np.float32)})["total"].tolist() == [6, 6, 6]


@pytest.mark.usefixtures("folder")
def test_a_module_for_one_batch_size_keeps_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = load_model(exported("factories:one_at_a_time", tmp_path))
    assert input_specs(model) == (TensorSpec("x", "float32", (1, 12)),)
    assert [value.name for value in model.graph.outputs] == ["output_0", "output_1"]
    assert "factories:one_at_a_time: exported at a fixed batch" in caplog.text


@pytest.mark.parametrize(("dims", "batch"), [(None, 2), ({0: torch.export.Dim("rows")}, "batch")])
def test_a_saved_program_keeps_its_axes(dims: dict[int, object] | None, batch: int | str, tmp_path: Path) -> None:
    program = torch.export.export(torch.nn.Tanh(), (torch.ones(2, 4),), dynamic_shapes=[dims])
    torch.export.save(program, tmp_path / "saved.pt2")
    path = exported(str(tmp_path / "saved.pt2"), tmp_path)
    assert path == tmp_path / "saved.onnx"
    (spec,) = input_specs(load_model(path))
    assert spec.shape == (batch, 4)


def test_an_onnx_file_is_itself(tmp_path: Path) -> None:
    assert open_source("folder/model.onnx", workdir=tmp_path) == Path("folder/model.onnx")
    colon = tmp_path / "a:b"
    colon.write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert open_source("a:b", workdir=tmp_path) == Path("a:b")


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("nowhere:build", NotFoundError, "no module 'nowhere' is installed or in the current directory"),
        ("factories.py:named", NotFoundError, "no module 'factories.py' .*; write factories"),
        ("factories:absent", NotFoundError, "factories has no absent"),
        ("importing:build", ModelError, "importing importing failed: No module named 'nothing_of_that_name'"),
        ("garbled:build", ModelError, "importing garbled failed: SyntaxError"),
        ("factories:table", ModelError, "table is dict, expected a function"),
        ("factories:broken", ModelError, r"broken\(\) failed: ValueError: two lines"),
        ("factories:no_module", ModelError, r"returned int, expected a torch\.nn\.Module"),
        (
            "factories:without_examples",
            ModelError,
            "Scaled comes without example inputs, .*set module.example_inputs",
        ),
        ("factories:too_few", ModelError, "do not fit forward: missing a required argument: 'scale'"),
        ("factories:unfit", ModelError, "forward fails on the example inputs: RuntimeError"),
        ("factories:no_tensor", ModelError, "example input 'tokens' is str, expected a tensor"),
        ("factories:spread", ModelError, "example input 'xs' is tuple, expected a tensor"),
        ("factories:deciding", ModelError, "torch cannot export it: .*data-dependent"),
        ("absent.pt2", NotFoundError, "no such file"),
        ("factories.pt2", ModelError, r"not a program of torch\.export\.save"),
        ("weights.pt", ModelError, r"no graph that can be read; .* package\.module:function"),
        ("weights.safetensors", ModelError, "no graph"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    source: str, error: type[SplitNetError], said: str, folder: Path, tmp_path: Path
) -> None:
    torch.save({"weight": torch.ones(2)}, folder / "factories.pt2")
    with pytest.raises(error, match=said) as caught:
        exported(source, tmp_path)
    assert str(caught.value).startswith(f"{source}: ")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("package", ["torch", "onnxscript"])
def test_without_torch_the_extra_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OperatorError, match=rf"needs {package}: .*splitnet\[train\]"):
        open_source("factories:named", workdir=tmp_path)
