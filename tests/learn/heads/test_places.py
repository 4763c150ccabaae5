"""Where heads could sit, and how much work lies below."""

from pathlib import Path

import onnx_ir as ir
import pytest

from splitnet.errors import ModelError, NotFoundError
from splitnet.learn.heads import Place, ending_of, places_for
from splitnet.learn.heads.work import work_of
from tests.graph.models import Net
from tests.learn.heads.models import convolutional, masked, observed, perceptron


def places(model: ir.Model, cuts: tuple[tuple[str, ...], ...] = ()) -> tuple[Place, ...]:
    return places_for(model, ending_of(model), cuts)


def test_work_is_counted_in_multiply_adds(tmp_path: Path) -> None:
    work = work_of(observed(convolutional(), tmp_path))
    pixels = 10 * 7
    assert [work[f"n_{name}"] for name in ("wide", "narrow", "logits")] == [8 * pixels, 2 * pixels, 8 * 4]
    convolutions = [value for name, value in work.items() if name.startswith("n_conv")]
    assert convolutions == [n * k * 9 * pixels for n, k in ((8, 3), (2, 8), (8, 2), (8, 8))]


def test_narrow_tensors_are_preferred_behind_their_activation(tmp_path: Path) -> None:
    found = places(observed(convolutional(), tmp_path))
    assert [place.tensor for place in found] == ["narrow", "deep"]
    assert all(place.alone for place in found)
    below, total = 9 * (24 + 16), 9 * (24 + 16 + 16 + 64)
    assert found[0].share == pytest.approx(below / total, rel=0.05)


def test_a_mask_that_crosses_every_cut_is_no_hindrance(tmp_path: Path) -> None:
    found = places(observed(masked(), tmp_path))
    assert {place.form.tensor.shape for place in found} == {("batch", 5, 8)}
    assert [place.share for place in found] == sorted({place.share for place in found})
    assert not any(place.alone for place in found)


@pytest.mark.parametrize(("cut", "tensor"), [("narrow", "narrow"), ("deeper", "deeper"), ("conv_2", "wide")])
def test_a_cut_by_hand_has_the_deepest_place_that_it_reaches(cut: str, tensor: str, tmp_path: Path) -> None:
    model = observed(convolutional(), tmp_path)
    (place,) = places(model, ((cut,),))
    assert place.tensor == ("conv_2" if cut == "conv_2" else tensor)
    both = places(model, ((cut,), ("deeper",)))
    assert [one.tensor for one in both] == list(dict.fromkeys([place.tensor, "deeper"]))


def test_a_cut_below_every_place_is_refused(tmp_path: Path) -> None:
    model = observed(convolutional(), tmp_path)
    with pytest.raises(ModelError, match=r"cut \['x'\]: no exit can be trained on a tensor up to it"):
        places(model, (("x",),))
    with pytest.raises(NotFoundError, match="did you mean 'narrow'"):
        places(model, (("narow",),))


def test_no_place_lies_at_the_class_scores(tmp_path: Path) -> None:
    net = Net()
    scores = net.op("Gemm", "x", net.weight(12, 4), net.weight(4), out="scores")
    net.op("Softmax", net.op("Identity", scores), axis=-1, out="y")
    with pytest.raises(ModelError, match="no exit can be trained: between the inputs and the class scores"):
        places(observed(net.proto({"x": ["N", 12]}, {"y": ["N", 4]}), tmp_path))


def test_a_small_perceptron_has_places_between_its_layers(tmp_path: Path) -> None:
    found = places(observed(perceptron(), tmp_path))
    assert [place.tensor for place in found] == ["layer_1", "layer_2"]
