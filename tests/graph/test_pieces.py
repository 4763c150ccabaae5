"""Pieces: consecutive, small enough, and run one after the other they are the model."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.graph import Piece, cut_into_pieces, observable, piece_model, weight_bytes, whole_piece
from splitnet.tensors import Tensors
from tests.graph.models import ZOO, Net, loaded, samples
from tests.graph.random_graphs import RandomGraph, random_graphs
from tests.graph.running import run, same_bits

#: Without optimisation what the pieces compute does not depend on where they are cut.
LEVEL = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


def run_pieces(model: ir.Model, pieces: tuple[Piece, ...], feeds: Tensors) -> Tensors:
    """Run the pieces in turn, each on nothing but what it says it takes."""
    held = dict(feeds)
    for piece in pieces:
        taken = {name: held[name] for name in piece.takes}
        dtypes = {name: array.dtype.name for name, array in taken.items()}
        part = piece_model(model, piece, dtypes, outputs=piece.makes, keep_shapes=False)
        assert [value.name for value in part.graph.inputs] == list(piece.takes)
        made = run(part, taken, LEVEL)
        assert tuple(made) == piece.makes
        held |= made
    return {value.name or "": held[value.name or ""] for value in model.graph.outputs}


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("share", [0, 4, 2, 1])
def test_pieces_are_the_model(name: str, share: int, tmp_path: Path) -> None:
    model = loaded(ZOO[name][0](), tmp_path)
    piece_bytes = weight_bytes(model) // share if share else 1
    pieces = cut_into_pieces(model, piece_bytes)
    # All nodes of `shared_weights` read the same ones, and `two_inputs` has none.
    assert (len(pieces) == 1) == (share == 1 or name in ("shared_weights", "two_inputs"))
    in_order = [node for piece in pieces for node in piece.nodes]
    names = [node.name for node in model.graph]
    assert in_order == [name for name in names if name in in_order]
    assert frozenset().union(*(piece.observable for piece in pieces)) == observable(model)
    for batch in (1, 3):
        feeds = samples(model, batch)
        assert same_bits(run_pieces(model, pieces, feeds), run(model, feeds, LEVEL))


@given(random_graphs(most=12), st.integers(1, 64))
@settings(max_examples=40)
def test_random_graphs_in_random_pieces(
    tmp_path_factory: pytest.TempPathFactory, drawn: RandomGraph, most: int
) -> None:
    model = loaded(drawn.proto, tmp_path_factory.mktemp("drawn"))
    feeds = samples(model, 3)
    assert same_bits(run_pieces(model, cut_into_pieces(model, most), feeds), run(model, feeds, LEVEL))


def dense(count: int) -> onnx.ModelProto:
    """So many layers of 64 bytes of weights each."""
    net = Net()
    at = "x"
    for _ in range(count):
        at = net.op("Relu", net.op("MatMul", at, net.weight(4, 4)))
    net.op("Identity", at, out="y")
    return net.proto({"x": ["N", 4]}, {"y": ["N", 4]})


@pytest.mark.parametrize(
    ("piece_bytes", "sizes"),
    [(1, [1] * 6), (63, [1] * 6), (64, [1] * 6), (130, [2] * 3), (192, [3] * 2), (500, [6])],
)
def test_a_piece_has_as_many_weights_as_fit_and_one_node_at_least(
    piece_bytes: int, sizes: list[int], tmp_path: Path
) -> None:
    pieces = cut_into_pieces(loaded(dense(6), tmp_path), piece_bytes)
    assert [sum("matmul" in node for node in piece.nodes) for piece in pieces] == sizes


def test_a_weight_that_two_nodes_share_counts_once(tmp_path: Path) -> None:
    net = Net()
    shared = net.weight(4, 4)
    net.op("MatMul", net.op("MatMul", "x", shared), shared, out="y")
    assert len(cut_into_pieces(loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path), 64)) == 1


def test_what_constant_nodes_make_is_made_in_every_piece_that_reads_it(tmp_path: Path) -> None:
    net = Net()
    turned = net.op("Transpose", net.weight(4, 4), perm=[1, 0])
    at = net.op("Relu", net.op("MatMul", "x", turned))
    net.op("MatMul", net.op("MatMul", at, net.weight(4, 4)), turned, out="y")
    model = loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path)
    pieces = cut_into_pieces(model, 64)
    assert [len(piece.nodes) for piece in pieces] == [2, 1, 1]
    assert all(turned not in piece.takes + piece.makes for piece in pieces)
    feeds = samples(model, 2)
    assert same_bits(run_pieces(model, pieces, feeds), run(model, feeds, LEVEL))


def test_no_cut_goes_through_a_sequence(tmp_path: Path) -> None:
    net = Net()
    net.op("SplitToSequence", net.op("MatMul", "x", net.weight(4, 4)), axis=1, out="parts")
    side = net.op("MatMul", net.op("MatMul", "x", net.weight(4, 4)), net.weight(4, 4))
    back = net.op("ConcatFromSequence", "parts", axis=1)
    net.op("MatMul", net.op("Add", back, side), net.weight(4, 4), out="y")
    model = loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4]}), tmp_path)
    pieces = cut_into_pieces(model, 1)
    assert all("parts" not in piece.takes + piece.makes for piece in pieces)
    assert [len(piece.nodes) for piece in pieces] == [1, 5, 1]
    feeds = samples(model, 2)
    assert same_bits(run_pieces(model, pieces, feeds), run(model, feeds, LEVEL))


def test_a_constant_output_comes_with_the_last_piece(tmp_path: Path) -> None:
    net = Net()
    net.op("MatMul", net.op("MatMul", "x", net.weight(4, 4)), net.weight(4, 4), out="y")
    net.op("Transpose", net.weight(2, 3), out="table")
    model = loaded(net.proto({"x": ["N", 4]}, {"y": ["N", 4], "table": [3, 2]}), tmp_path)
    pieces = cut_into_pieces(model, 1)
    assert pieces[-1].makes == ("y", "table")
    feeds = samples(model, 2)
    assert same_bits(run_pieces(model, pieces, feeds), run(model, feeds, LEVEL))


def test_pieces_keep_their_shapes_where_those_are_known(tmp_path: Path) -> None:
    model = loaded(dense(2), tmp_path)
    last = cut_into_pieces(model, 1)[-1]
    for keep_shapes in (True, False):
        part = piece_model(
            model, last, dict.fromkeys(last.takes, "float32"), outputs=last.makes, keep_shapes=keep_shapes
        )
        (value,) = part.graph.inputs
        source = next(v for node in model.graph for v in node.outputs if v.name == value.name)
        assert value.shape == (source.shape if keep_shapes else None)


def test_the_whole_is_a_piece_too(tmp_path: Path) -> None:
    model = loaded(dense(3), tmp_path)
    piece = whole_piece(model)
    assert (piece.takes, piece.makes, len(piece.nodes)) == (("x",), ("y",), len(list(model.graph)))
    feeds = {"x": np.ones((2, 4), np.float32)}
    assert same_bits(run(model, feeds, LEVEL), run_pieces(model, cut_into_pieces(model, 10**6), feeds))
