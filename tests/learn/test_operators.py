"""Every operator equals onnxruntime's, and its gradient equals the differences of its values."""

import pytest
import torch

from splitnet.errors import ModelError
from splitnet.learn.operators import OPERATORS
from tests.learn.cases import CASES, Case, floats, ints, rough
from tests.learn.graphs import assert_same, single, torch_graph


def _names(cases: tuple[Case, ...]) -> list[str]:
    return [f"{index}-{case.name}" for index, case in enumerate(cases)]


SMOOTH = tuple(case for case in CASES if case.smooth)


def test_every_operator_has_a_case() -> None:
    assert set(OPERATORS) == {case.operator for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=_names(CASES))
def test_equals_onnxruntime(case: Case) -> None:
    proto = single(case.operator, case.inputs, outputs=case.outputs, opset=case.opset, attributes=case.attributes)
    feeds = {} if not case.inputs or case.inputs[0] is None else {"x": case.inputs[0]}
    assert_same(proto, feeds)


@pytest.mark.parametrize("case", SMOOTH, ids=_names(SMOOTH))
def test_gradient(case: Case) -> None:
    """The derivative along a random direction, against the difference quotient, in float64."""
    proto = single(case.operator, case.inputs, opset=case.opset, attributes=case.attributes)
    graph = torch_graph(proto).double()
    start = case.inputs[0]
    assert start is not None
    generator = torch.Generator().manual_seed(0)
    x = torch.from_numpy(start).double().requires_grad_()
    y = graph({"x": x})["y0"]
    weights = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((y * weights).sum(), x)
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)

    def along(step: float) -> float:
        with torch.no_grad():
            return float((graph({"x": x + step * direction})["y0"] * weights).sum())

    quotient = (along(1e-6) - along(-1e-6)) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(quotient, rel=1e-4, abs=1e-6)


REFUSED = (
    (rough("MaxPool", floats(1, 1, 4, 4), outputs=2, kernel_shape=[2, 2]), "indices"),
    (rough("AveragePool", floats(1, 1, 6, 6), kernel_shape=[2, 2], dilations=[2, 2]), "dilated"),
    (rough("ArgMax", floats(3), select_last_index=1), "last"),
    (rough("Resize", floats(1, 1, 4, 4), None, None, ints(1, 1, 2, 2), mode="linear", antialias=1), "antialias"),
    (rough("Dropout", floats(3), outputs=2), "mask"),
    (rough("GatherND", floats(2, 3), ints(0, 1)[:, None], batch_dims=1), "batch_dims"),
    (rough("ScatterND", floats(3), ints(0)[:, None], floats(1), reduction="add"), "reduction add"),
    (rough("Cast", floats(3), to=8), "type 8"),
    (rough("Slice", floats(3), ints(0), None), "input 2"),
)


@pytest.mark.parametrize(("case", "reason"), REFUSED, ids=[case.name for case, _ in REFUSED])
def test_what_is_not_implemented_is_refused(case: Case, reason: str) -> None:
    graph = torch_graph(single(case.operator, case.inputs, outputs=case.outputs, attributes=case.attributes))
    with pytest.raises(ModelError, match=rf"'node' \({case.operator}\).*{reason}"):
        graph({"x": torch.from_numpy(case.inputs[0])})


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(ModelError, match=r"'node'.*operator NonZero"):
        torch_graph(single("NonZero", (floats(3),)))


def test_inputs_that_do_not_fit_name_the_node() -> None:
    graph = torch_graph(single("MatMul", (floats(2, 3), floats(3, 2))))
    with pytest.raises(ModelError, match=r"'node' \(MatMul\): torch failed"):
        graph({"x": torch.zeros(2, 4)})
