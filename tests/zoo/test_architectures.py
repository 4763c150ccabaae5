"""Real architectures, as torch exports them, split to the bit at several places and batch sizes."""

from pathlib import Path

import onnx_ir as ir
import pytest

from splitnet.graph import Cut, enumerate_cuts, load_model, spec_of
from tests.graph.models import samples
from tests.graph.running import chain, compacted, observe, run_chain, same_bits, session
from tests.zoo.architectures import ARCHITECTURES
from tests.zoo.conftest import Exported, export_network


def places(cuts: list[Cut]) -> list[tuple[Cut, Cut]]:
    """Three pairs of cuts: two of single tensors, and one of wherever several cross."""
    singles = [cut for cut in cuts if len(cut.tensors) == 1]
    several = [cut for cut in cuts if len(cut.tensors) > 1] or singles[1:]
    return [_at(singles, 1 / 4, 1 / 2), _at(singles, 1 / 3, 3 / 4), _at(several, 1 / 5, 3 / 5)]


def _at(cuts: list[Cut], low: float, high: float) -> tuple[Cut, Cut]:
    return cuts[int(len(cuts) * low)], cuts[max(int(len(cuts) * high), 1)]


def check_splits(model: ir.Model, singles: int, batches: tuple[int, ...] = (1, 3)) -> None:
    observe(model)
    outputs = [value.name or "" for value in model.graph.outputs]
    cuts = [cut for cut in enumerate_cuts(model, outputs)[1:-1] if all(spec_of(model, t) for t in cut.tensors)]
    assert sum(len(cut.tensors) == 1 for cut in cuts) >= singles
    running = session(model)
    wholes = {
        batch: dict(zip(outputs, running.run(outputs, samples(model, batch)), strict=True))
        for batch in (*batches, 5)
    }
    which = [0, 2, 4]
    for pair in places(cuts):
        segments = chain(model, outputs, pair)
        for batch in batches:
            assert same_bits(run_chain(segments, samples(model, batch), outputs), wholes[batch]), pair
        held = run_chain(segments[:1], samples(model, 5), pair[0].tensors)
        split = run_chain(segments[1:], compacted(segments[1], held, which), outputs)
        assert same_bits(split, compacted(model, wholes[5], which)), pair


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_small_network_splits_to_the_bit(name: str, exported: Exported) -> None:
    check_splits(load_model(exported(name)), ARCHITECTURES[name].singles)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_full_network_splits_to_the_bit(name: str, tmp_path: Path) -> None:
    check_splits(
        load_model(export_network(name, tmp_path / f"{name}.onnx", size="full")), ARCHITECTURES[name].singles
    )
