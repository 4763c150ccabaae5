"""Three segments give the very bits that the whole model gives: the promise that splitting rests on."""

from itertools import combinations
from pathlib import Path

import onnx_ir as ir
import pytest

from splitnet.graph import Cut, enumerate_cuts, extract_segment, quantised_tensors, spec_of
from tests.graph.models import ZOO, fixed_batch, loaded, samples
from tests.graph.running import chain, compacted, observe, prepared, run, run_chain, same_bits


def sendable(model: ir.Model, cuts: tuple[Cut, ...]) -> list[Cut]:
    wires = quantised_tensors(model) or {name for cut in cuts for name in cut.tensors}
    return [cut for cut in cuts[1:-1] if all(spec_of(model, name) and name in wires for name in cut.tensors)]


def pairs(cuts: list[Cut]) -> list[tuple[Cut, Cut]]:
    """All pairs of single-tensor cuts, thinned out, and some of the others."""
    singles = list(combinations([cut for cut in cuts if len(cut.tensors) == 1], 2))
    others = list(combinations([cut for cut in cuts if len(cut.tensors) > 1], 2))
    return singles[:: 1 + len(singles) // 12] + others[:: 1 + len(others) // 6]


@pytest.mark.parametrize("name", ZOO)
def test_each_single_cut_and_pairs_of_cuts_split_to_the_bit(name: str, tmp_path: Path) -> None:
    model, outputs = prepared(name, tmp_path)
    cuts = sendable(model, enumerate_cuts(model, outputs))
    chosen: list[tuple[Cut, ...]] = [(cut,) for cut in cuts if len(cut.tensors) == 1]
    chosen += pairs(cuts)
    assert chosen
    wholes = {batch: run(model, samples(model, batch)) for batch in (1, 3)}
    for each in chosen:
        segments = chain(model, outputs, each)
        for batch, whole in wholes.items():
            split = run_chain(segments, samples(model, batch), outputs)
            assert same_bits(split, {name: whole[name] for name in outputs}), each


@pytest.mark.parametrize("name", sorted(ZOO.keys() - {"captured"}))
def test_a_compacted_batch_goes_on_as_a_smaller_whole(name: str, tmp_path: Path) -> None:
    # `captured` is left out: its If decides for the whole batch, so fewer samples may decide otherwise.
    model, outputs = prepared(name, tmp_path)
    feeds, which = samples(model, 5), [0, 2, 3]
    whole = run(model, compacted(model, feeds, which))
    for lower, upper in pairs(sendable(model, enumerate_cuts(model, outputs))):
        bottom, middle, top = chain(model, outputs, (lower, upper))
        made = {name: array for name, array in (feeds | run(bottom, feeds)).items() if name in lower.tensors}
        passed = compacted(middle, made, which)
        split = run_chain([middle, top], passed, outputs)
        assert same_bits(split, {name: whole[name] for name in outputs}), (lower, upper)


def test_a_fixed_batch_needs_no_batch_axis(tmp_path: Path) -> None:
    model = observe(loaded(fixed_batch(), tmp_path), batches=(2,))
    feeds = samples(model, 2)
    whole = run(model, feeds)
    for cut in enumerate_cuts(model, ["y"])[1:-1]:
        segments = chain(model, ["y"], (cut,))
        assert all(value.shape is not None and value.shape.is_static() for value in segments[1].graph.inputs)
        assert same_bits(run_chain(segments, feeds, ["y"]), whole), cut


def test_exit_heads_run_in_the_segment_below_their_cut(tmp_path: Path) -> None:
    model, _ = prepared("exits", tmp_path)
    feeds = samples(model, 3)
    whole = run(model, feeds)
    bottom = extract_segment(model, ["x"], ["stage_1", "exit_1"])
    middle = extract_segment(model, ["stage_1"], ["stage_2", "exit_2"])
    top = extract_segment(model, ["stage_2"], ["y"])
    split = run_chain([bottom, middle, top], feeds, ["exit_1", "exit_2", "y"])
    assert same_bits(split, whole)
