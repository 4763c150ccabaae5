"""Models that onnxruntime's quantiser makes are cut where they are integers already, at no cost and to the bit."""

import logging
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from splitnet.graph import enumerate_cuts, load_model, spec_of
from splitnet.tensors import Tensors
from tests.graph.models import loaded, residual, samples, transformer
from tests.graph.running import ALL, BASIC, chain, compacted, observe, run, run_chain, same_bits
from tests.graph.test_split_equals_whole import pairs, sendable

#: How many cuts of `residual` can be sent: between each operator and the next, but for what a residual block
#: reads twice after one DequantizeLinear, which integer operators do not have.
CUTS = {QuantFormat.QDQ: 7, QuantFormat.QOperator: 10}


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no annotations
    def __init__(self, model: ir.Model) -> None:
        self._batches: Iterator[Tensors] = iter([samples(model, 2, seed=seed) for seed in range(3)])

    def get_next(self) -> Tensors | None:
        return next(self._batches, None)


@pytest.fixture(scope="module", params=list(CUTS), ids=lambda made: made.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[QuantFormat, ir.Model]:
    """Unsigned activations and signed weights, per channel: the form that runs fast."""
    folder = tmp_path_factory.mktemp("quantised")
    model = loaded(residual(), folder)
    logging.disable(logging.WARNING)  # The quantiser advises on the root logger.
    quantize_static(
        folder / "model.onnx",
        folder / "quantised.onnx",
        Reader(model),
        quant_format=request.param,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    logging.disable(logging.NOTSET)
    return request.param, observe(load_model(folder / "quantised.onnx"))


def test_what_is_sent_is_quantised_already(made: tuple[QuantFormat, ir.Model]) -> None:
    form, model = made
    cuts = sendable(model, enumerate_cuts(model, ["y"]))
    assert len(cuts) == CUTS[form]
    for spec in (spec_of(model, name) for cut in cuts for name in cut.tensors):
        assert spec is not None
        assert spec.dtype == "uint8"


@pytest.mark.parametrize("level", [BASIC, ALL], ids=["basic", "all"])
def test_it_splits_to_the_bit_at_every_optimisation(made: tuple[QuantFormat, ir.Model], level: object) -> None:
    _, model = made
    cuts = sendable(model, enumerate_cuts(model, ["y"]))
    for each in [*((cut,) for cut in cuts), *pairs(cuts)]:
        segments = chain(model, ["y"], each)
        for batch in (1, 3):
            feeds = samples(model, batch)
            assert same_bits(run_chain(segments, feeds, ["y"], level), run(model, feeds, level)), each


def test_dynamic_quantisation_splits_to_the_bit_but_ties_samples_together(tmp_path: Path) -> None:
    loaded(transformer(), tmp_path)
    logging.disable(logging.WARNING)
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "dynamic.onnx")
    logging.disable(logging.NOTSET)
    assert "DynamicQuantizeLinear" in {node.op_type for node in onnx.load(tmp_path / "dynamic.onnx").graph.node}
    model = observe(load_model(tmp_path / "dynamic.onnx"))
    cuts = sendable(model, enumerate_cuts(model, ["y"]))
    for each in pairs(cuts):
        segments = chain(model, ["y"], each)
        for batch in (1, 3):
            feeds = samples(model, batch)
            assert same_bits(run_chain(segments, feeds, ["y"]), run(model, feeds)), each
    # One scale serves a whole batch, so the model itself answers otherwise when samples have left it.
    feeds, which = samples(model, 5), [0, 2, 3]
    alone = run(model, compacted(model, feeds, which))
    assert not same_bits(alone, compacted(model, run(model, feeds), which))
