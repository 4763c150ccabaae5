"""Where heads could sit: tensors that a model goes through, from the first tenth of its work to three quarters."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph import Cut, cut_at, enumerate_cuts, quantised_tensors, sendable_specs
from splitnet.graph.dataflow import DataFlow
from splitnet.graph.values import name_of
from splitnet.learn.heads.ending import Ending
from splitnet.learn.heads.form import HeadForm, form_of, quantised_form_of
from splitnet.learn.heads.work import work_of

# A head is looked for in each of these ranges of the share of the work below it.
_RANGES = ((0.03, 0.125), (0.125, 0.375), (0.375, 0.625), (0.625, 0.875))
# Nearer to the inputs a head sees hardly more than them.
_LEAST_SHARE = 0.01
# What has less of the work behind it, and is still read with this share of it done, goes beside the tensor that
# matters: a mask or positions, and not what an addition soon brings in again.
_LITTLE, _LATE = 0.02, 0.5
# Tensors up to so many times the smallest are as good to send; the deepest of them says most.
_AS_SMALL = 1.1


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor that a head could read.

    Attributes:
        form: of the tensor, with what the head makes of it first.
        producer: the node that makes it.
        share: of the model's work that is below, 0.0 to 1.0.
        alone: whether nothing else crosses there.
    """

    form: HeadForm
    producer: str
    share: float
    alone: bool

    @property
    def tensor(self) -> str:
        """The tensor's name."""
        return self.form.tensor.name


def places_for(model: ir.Model, ending: Ending, cuts: Sequence[Sequence[str]] = ()) -> tuple[Place, ...]:
    """Return up to four places, in order of depth.

    In each range of depth a tensor that cuts the model alone, where there is one; of these the deepest that is
    about as small as the smallest, so that a cut there is cheap to send. With cuts by hand, the deepest place that
    each of them reaches.

    Args:
        model: as `load_model` returns it, with shapes recorded.
        ending: how it ends.
        cuts: boundary tensors of each cut made by hand, the device's first.

    Raises:
        ModelError: there is none, or none that a cut reaches.
        NotFoundError: a tensor of a cut is unknown.
    """
    found = _Search(model, ending).places()
    if not found:
        raise ModelError(
            "no exit can be trained: between the inputs and the class scores no floating-point tensor [batch, "
            "channels, height, width], [batch, tokens, width] or [batch, width] holds what is known of a sample"
        )
    if cuts:
        return tuple(
            {place.tensor: place for place in (_reached(model, ending, found, cut) for cut in cuts)}.values()
        )
    ranges = [[place for place in found if low <= place.share < high] for low, high in _RANGES]
    chosen = [_best(places) for places in ranges if places]
    return tuple(chosen) if chosen else (min(found, key=lambda place: abs(place.share - 0.5)),)


def _reached(model: ir.Model, ending: Ending, found: Sequence[Place], cut: Sequence[str]) -> Place:
    below = cut_at(model, ending.outputs, cut).nodes
    reached = [place for place in found if place.producer in below]
    if not reached:
        raise ModelError(
            f"cut {list(cut)}: no exit can be trained on a tensor up to it; cut further up, or leave --cut out"
        )
    return reached[-1]


def _best(places: Sequence[Place]) -> Place:
    places = [place for place in places if place.alone] or places
    smallest = min(place.form.tensor.sample_nbytes for place in places)
    return [place for place in places if place.form.tensor.sample_nbytes <= _AS_SMALL * smallest][-1]


class _Search:
    """Looks through the cuts of a model."""

    def __init__(self, model: ir.Model, ending: Ending) -> None:
        self._cuts = enumerate_cuts(model, ending.outputs)
        self._flow = DataFlow(model)
        self._work = work_of(model)
        self._total = max(sum(self._work[name] for name in self._cuts[-1].nodes), 1.0)
        self._specs = sendable_specs(model)
        self._quantised = quantised_tensors(model)
        self._beside: dict[ir.Value, bool] = {}
        self._last_read = self._last_reads()
        # What makes the logits, or is made of them, is the end and no place on the way.
        (logits,) = self._flow.values([ending.logits])
        maker = logits.producer()
        self._end = {*ending.nodes, *(() if maker is None else (name_of(maker),))}

    def places(self) -> list[Place]:
        """Return all places, in order of depth."""
        found: dict[str, Place] = {}
        below = 0.0
        for cut, node in zip(self._cuts[1:-1], self._cuts[-1].nodes, strict=False):
            below += self._work[node]
            place = self._place(cut, below / self._total)
            if place is not None and not self._end & set(cut.nodes):
                found.setdefault(place.tensor, place)
        return list(found.values())

    def _place(self, cut: Cut, share: float) -> Place | None:
        made = [value for value in self._flow.values(cut.tensors) if value.producer() is not None]
        main = made if len(made) == 1 else [value for value in made if not self._goes_beside(value)]
        if len(main) != 1 or share < _LEAST_SHARE:
            return None
        name, producer = name_of(main[0]), main[0].producer()
        form = self._form(main[0]) if name in self._specs else None
        if form is None or producer is None:
            return None
        return Place(form, name_of(producer), share, alone=len(cut.tensors) == 1)

    def _form(self, value: ir.Value) -> HeadForm | None:
        """What a head makes of `value`: in a quantised model, where only they are cut, of quantised tensors."""
        spec = self._specs[name_of(value)]
        return quantised_form_of(spec, value) if self._quantised else form_of(spec)

    def _goes_beside(self, value: ir.Value) -> bool:
        """Whether next to nothing of the work is behind `value`, and it is read for long."""
        if value not in self._beside:
            behind = sum(self._work[name_of(node)] for node in self._flow.ancestors([value]))
            late = self._last_read.get(value, 0.0) >= _LATE * self._total
            self._beside[value] = late and behind < _LITTLE * self._total
        return self._beside[value]

    def _last_reads(self) -> dict[ir.Value, float]:
        """How much work is done when each tensor of the trunk is read for the last time."""
        trunk = self._cuts[-1].nodes
        found: dict[ir.Value, float] = {}
        done = 0.0
        for node in self._flow.model.graph:
            if node.name in trunk:
                found |= dict.fromkeys(self._flow.reads(node), done)
                done += self._work[name_of(node)]
        return found
