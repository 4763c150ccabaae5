"""What is observed: the same samples' tensors and answers, in a random order, within a bound of memory."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from splitnet.graph import input_specs, model_bytes, record_shapes, spec_of, with_every_output
from splitnet.learn.bottleneck import observe as observing
from splitnet.learn.bottleneck.observe import Observed, observe
from splitnet.learn.bottleneck.trained import LEAST_SAMPLES
from splitnet.onnx_session import OnnxSession
from splitnet.samples import Samples
from tests.graph.models import Net, loaded

COUNT = 37


@pytest.fixture(name="job")
def _job(tmp_path: Path) -> tuple[ir.Model, Samples]:
    """`t` is twice the input, `y` three times `t`; `size` counts all values, so that it has no row a sample."""
    net = Net()
    net.op("Mul", "x", net.const(2, np.float32), out="t")
    net.op("Mul", "t", net.const(3, np.float32), out="y")
    net.op("Reshape", net.op("ReduceSum", "t", keepdims=0), net.const([1]), out="total")
    model = loaded(net.proto({"x": ["N", 5]}, {"y": ["N", 5], "total": [1]}), tmp_path)
    session = OnnxSession(model_bytes(with_every_output(model)), name="all", optimisation="none")
    x = np.arange(COUNT * 5, dtype=np.float32).reshape(COUNT, 5)
    runs = [session.run({"x": x[:batch]}) for batch in (2, 3)]
    record_shapes(model, [{name: (a.dtype.name, a.shape) for name, a in run.items()} for run in runs], (2, 3))
    return model, Samples(input_specs(model), {"x": x}, None, COUNT)


def _observe(job: tuple[ir.Model, Samples], *, seed: int = 0) -> Observed:
    model, samples = job
    tensor = spec_of(model, "t")
    assert tensor is not None
    return observe(model, tensor, ["y", "total"], samples, seed=seed)


def test_rows_belong_together(job: tuple[ir.Model, Samples]) -> None:
    observed = _observe(job)
    x = job[1].inputs["x"]
    np.testing.assert_array_equal(observed.outputs["y"], 3 * observed.boundary)
    order = np.argsort(observed.boundary[:, 0])
    np.testing.assert_array_equal(observed.boundary[order], 2 * x)
    assert not np.array_equal(observed.boundary, 2 * x)
    assert set(observed.outputs) == {"y"}


def test_a_seed_decides_the_order(job: tuple[ir.Model, Samples]) -> None:
    one, same, other = (_observe(job, seed=seed).boundary for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_memory_is_bounded(job: tuple[ir.Model, Samples], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "_MOST_BYTES", 35 * 40)  # t and y of 35 samples
    assert _observe(job).count == 35
    monkeypatch.setattr(observing, "_MOST_BYTES", 1)
    assert _observe(job).count == LEAST_SAMPLES
