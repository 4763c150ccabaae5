"""Cuts against brute force on random graphs, and by hand on graphs that one can draw."""

import time
from itertools import pairwise
from pathlib import Path

import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError, ModelError, NotFoundError
from splitnet.graph import Cut, cut_at, enumerate_cuts, exit_position, head_nodes, is_below, nodes_between
from tests.graph.models import Net, exits, loaded, residual, transformer, two_inputs
from tests.graph.random_graphs import BruteForce, RandomGraph, random_graphs


def as_model(graph: RandomGraph) -> ir.Model:
    return ir.from_proto(graph.proto)


@settings(max_examples=200, deadline=None)
@given(graph=random_graphs())
def test_the_chain_is_nested_and_its_boundaries_are_right(graph: RandomGraph) -> None:
    truth = BruteForce(graph)
    cuts = enumerate_cuts(as_model(graph), graph.outputs)
    assert [cut.position for cut in cuts] == list(range(len(truth.trunk) + 1))
    for cut in cuts:
        nodes = frozenset(cut.nodes)
        assert len(nodes) == cut.position
        assert frozenset(cut.tensors) == truth.boundaries[nodes]
        if cut is not cuts[-1]:
            assert not truth.reached_past(frozenset(cut.tensors))
    for lower, upper in pairwise(cuts):
        assert is_below(lower, upper)
        assert not is_below(upper, lower)
        assert len(nodes_between(lower, upper)) == 1


@settings(max_examples=200, deadline=None)
@given(graph=random_graphs())
def test_every_single_tensor_cut_is_in_the_chain(graph: RandomGraph) -> None:
    truth = BruteForce(graph)
    singles = {nodes for nodes, boundary in truth.boundaries.items() if len(boundary) == 1}
    found = {
        frozenset(cut.nodes) for cut in enumerate_cuts(as_model(graph), graph.outputs) if len(cut.tensors) == 1
    }
    assert found == singles


@settings(max_examples=200, deadline=None)
@given(graph=random_graphs(), data=st.data())
def test_a_cut_by_hand_is_the_one_of_its_boundary_or_says_what_leaks(
    graph: RandomGraph, data: st.DataObject
) -> None:
    truth, model = BruteForce(graph), as_model(graph)
    legal = data.draw(st.sampled_from(sorted(set(truth.boundaries.values()), key=sorted)))
    tensors = data.draw(st.permutations(sorted(legal)))
    cut = cut_at(model, graph.outputs, tensors)
    assert frozenset(cut.tensors) == legal
    assert truth.boundaries[frozenset(cut.nodes)] == legal
    every = sorted(truth.inputs.union(*truth.boundaries.values()))
    some = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    expected = truth.boundary(truth.ancestors(frozenset(some)))
    if expected == frozenset(some):
        assert frozenset(cut_at(model, graph.outputs, some).tensors) == expected
    else:
        with pytest.raises(ModelError) as caught:
            cut_at(model, graph.outputs, some)
        assert all(repr(name) in str(caught.value) for name in expected - frozenset(some))


def test_an_enumerated_cut_equals_the_same_cut_by_hand(tmp_path: Path) -> None:
    model = loaded(residual(), tmp_path)
    for cut in enumerate_cuts(model, ["y"]):
        again = cut_at(model, ["y"], list(reversed(cut.tensors)))
        assert again == cut
        assert hash(again) == hash(cut)
        assert again.nodes == cut.nodes == frozenset(cut.nodes)


def test_shape_derived_tensors_do_not_count(tmp_path: Path) -> None:
    model = loaded(transformer(), tmp_path)
    cuts = enumerate_cuts(model, ["y"])
    singles = {cut.tensors[0] for cut in cuts if len(cut.tensors) == 1}
    assert {"x", "embedded", "block_0", "block_1"} <= singles
    assert not any("mask" in cut.tensors for cut in cuts)
    with pytest.raises(ModelError, match="'mask' is constant or derived from shapes"):
        cut_at(model, ["y"], ["mask"])


def test_inputs_read_late_and_outputs_made_early_cross(tmp_path: Path) -> None:
    model = loaded(two_inputs(), tmp_path)
    cuts = enumerate_cuts(model, ["early", "y"])
    assert cuts[0].tensors == ("x", "z")
    assert cuts[1].tensors == ("z", "early")
    assert all("early" in cut.tensors for cut in cuts[1:-1])
    assert cuts[-1].tensors == ()


def test_a_random_source_hides_no_single_tensor_cut(tmp_path: Path) -> None:
    net = Net()
    noise = net.op("Mul", net.op("RandomNormal", shape=[1, 4], out="source"), net.weight(1, 4), out="noise")
    middle = net.op("Relu", net.op("Neg", "x"), out="middle")
    net.op("Add", middle, noise, out="y")
    model = loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path)
    cuts = enumerate_cuts(model, ["y"])
    assert ("middle",) in [cut.tensors for cut in cuts]
    assert cut_at(model, ["y"], ["middle"]) in cuts
    assert ("middle", "noise") in [cut.tensors for cut in cuts]


def test_a_misspelt_tensor_is_answered_with_near_names(tmp_path: Path) -> None:
    model = loaded(residual(), tmp_path)
    with pytest.raises(NotFoundError, match="no tensor 'block0'; did you mean 'block_0'"):
        cut_at(model, ["y"], ["block0"])


def test_a_leak_names_its_maker_its_reader_and_the_remedy(tmp_path: Path) -> None:
    model = loaded(residual(), tmp_path)
    inner = next(node for node in model.graph if node.op_type == "Add").inputs[0]
    assert inner is not None
    with pytest.raises(
        ModelError, match=r"'stem' \(made by 'n_stem' below, read by 'n_add_\d+' above\); add \['stem'\]"
    ):
        cut_at(model, ["y"], [inner.name or ""])
    with pytest.raises(ModelError, match=r"\['x'\] do not cross the cut .* cut at \['stem'\]"):
        cut_at(model, ["y"], ["x", "stem"])
    with pytest.raises(ModelError, match="nothing is left above it"):
        cut_at(model, ["y"], ["y"])
    assert cut_at(model, ["y"], []) == enumerate_cuts(model, ["y"])[-1]


def test_outputs_that_cannot_be_cut_below_are_refused(tmp_path: Path) -> None:
    net = Net()
    net.op("Shape", "x", out="y")
    model = loaded(net.proto({"x": ["N", 4]}, {"y": [2]}), tmp_path)
    with pytest.raises(ModelError, match="nothing to cut"):
        enumerate_cuts(model, ["y"])
    with pytest.raises(InvalidArgumentError, match="no outputs"):
        enumerate_cuts(model, [])
    with pytest.raises(NotFoundError, match="no tensor 'q'"):
        enumerate_cuts(model, ["q"])


def test_an_exit_answers_from_the_cut_that_has_its_trunk_below(tmp_path: Path) -> None:
    model = loaded(exits(), tmp_path)
    cuts = enumerate_cuts(model, ["y"])
    trunk = cuts[-1].nodes
    first, second = (exit_position(cuts, model, [name]) for name in ("exit_1", "exit_2"))
    assert cuts[first].tensors == ("stage_1",)
    assert cuts[second].tensors == ("stage_2",)
    assert exit_position(cuts, model, ["y"]) == len(cuts) - 1
    head = head_nodes(model, ["exit_1"], trunk)
    assert {node.op_type for node in model.graph if node.name in head} == {"GlobalAveragePool", "Flatten", "Gemm"}
    assert not head & head_nodes(model, ["exit_2"], trunk)
    assert not head_nodes(model, ["y"], trunk)
    with pytest.raises(ModelError, match="on the way to"):
        cut_at(model, ["y"], ["pool_1"])
    with pytest.raises(ModelError, match="whole chain"):
        exit_position((), model, ["y"])


def test_nodes_of_a_cut_are_a_set(tmp_path: Path) -> None:
    cuts = enumerate_cuts(loaded(residual(), tmp_path), ["y"])
    low, high = cuts[3].nodes, cuts[7].nodes
    assert low < high <= frozenset(high)
    assert high - low == frozenset(nodes_between(cuts[3], cuts[7]))
    assert frozenset(high) - low == high - low
    assert "absent" not in high
    assert {low, frozenset(low)} == {low}
    assert Cut(1, ("t",), frozenset({"n"})).nodes == {"n"}


def test_three_thousand_nodes_take_about_a_second(tmp_path: Path) -> None:
    net = Net()
    at = "x"
    for _ in range(1000):
        at = net.op("Relu", net.op("Add", net.op("Neg", at), at))
    net.op("Identity", at, out="y")
    model = loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path)
    start = time.process_time()
    cuts = enumerate_cuts(model, ["y"])
    assert len(cuts) == 3002
    assert sum(is_below(lower, upper) for lower, upper in pairwise(cuts)) == 3001
    assert time.process_time() - start < 3, "a sweep that copies sets takes minutes"
