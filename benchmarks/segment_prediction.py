"""How well the profile of a whole model predicts the times of its segments, for networks of full size."""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Literal

import onnx_ir as ir

from splitnet.cost import Profile, run_ms
from splitnet.graph import (
    Cut,
    enumerate_cuts,
    extract_segment,
    input_specs,
    load_model,
    model_bytes,
    nodes_between,
    output_specs,
    spec_of,
)
from splitnet.onnx_session import OnnxSession
from splitnet.partition.samples import random_samples
from splitnet.partition.whole import WholeModel
from splitnet.tensors import Tensors
from tests.zoo.conftest import export_network

_NAMES = ("resnet50", "mobilenetv2", "googlenet", "densenet", "convnext", "vit")
_GOAL = 0.05
_LEAST_ROUNDS = 5

Kind = Literal["head", "middle", "tail"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment and what was found of it.

    Attributes:
        kind: where it lies.
        between: its ends, as quarters of the chain of cuts.
        share: of the model's time.
        predicted_ms: sum of the profile's nodes, scaled to the whole as it was measured beside the segment.
        measured_ms: median.
    """

    kind: Kind
    between: tuple[int, int]
    share: float
    predicted_ms: float
    measured_ms: float

    @property
    def error(self) -> float:
        """Signed and relative to what was measured."""
        return self.predicted_ms / self.measured_ms - 1


def main() -> None:
    """Measure every network, print a table of each and the mean errors."""
    arguments = _arguments()
    found: dict[str, list[Segment]] = {}
    for name in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            kept = (arguments.models or Path(folder)) / f"{name}.onnx"
            path = kept if kept.exists() else export_network(name, kept, size="full")
            found[name] = measure(path, seconds=arguments.seconds)
        if not arguments.json:
            _print(name, found[name])
    errors = mean_errors(found.values())
    if arguments.json:
        segments = {name: [asdict(segment) for segment in of_one] for name, of_one in found.items()}
        sys.stdout.write(json.dumps({"segments": segments, "mean_errors": errors, "goal": _GOAL}) + "\n")
    else:
        print(*(f"{kind}: mean error {error:.1%}" for kind, error in errors.items()), sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=_NAMES, help="names in tests/zoo/architectures.py")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="keep exported networks here, and use them")
    parser.add_argument("--seconds", type=float, default=10.0, help="to measure the segments of a network for")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def measure(path: Path, *, seconds: float) -> list[Segment]:
    """Profile the model, then run the whole and its segments in turn, twice each, of which the second counts.

    A segment runs alone on its machine, so it finds its weights in the cache where they fit.
    """
    model = load_model(path)
    whole = WholeModel(model, random_samples(input_specs(model), seed=0))
    profile = whole.profile(seconds=max(2.0, seconds / 4))
    outputs = [spec.name for spec in output_specs(model)]
    spans = list(_spans(model, outputs))
    tensors = sorted({name for _, _, lower, _ in spans for name in lower.tensors})
    values = whole.samples.take([0])
    for made in whole.values(tensors, count=1, batch=1):
        values |= made
    sessions = [OnnxSession(model_bytes(model), name="whole")]
    for _, _, lower, upper in spans:
        segment = extract_segment(model, lower.tensors, upper.tensors or outputs)
        sessions.append(OnnxSession(model_bytes(segment), name="segment"))
    whole_ms, *segment_ms = _in_turn(sessions, values, seconds)
    return [
        _segment(profile, span, whole_ms, measured_ms) for span, measured_ms in zip(spans, segment_ms, strict=True)
    ]


def _spans(model: ir.Model, outputs: Sequence[str]) -> Iterator[tuple[Kind, tuple[int, int], Cut, Cut]]:
    """Yield heads, middles and tails between the quarters of the chain, or the next cuts that can be sent."""
    cuts = enumerate_cuts(model, outputs)
    last = len(cuts) - 1
    able = [cut for cut in cuts[1:-1] if all(spec_of(model, name) for name in cut.tensors)]
    quarters = [min(able, key=lambda cut: abs(cut.position - last * quarter / 4)) for quarter in (1, 2, 3)]
    ends = [cuts[0], *quarters, cuts[-1]]
    for low, high in ((0, 1), (0, 2), (0, 3), (1, 2), (2, 3), (1, 3), (1, 4), (2, 4), (3, 4)):
        kind: Kind = "head" if low == 0 else "tail" if high == 4 else "middle"
        yield kind, (low, high), ends[low], ends[high]


def _in_turn(sessions: Sequence[OnnxSession], values: Tensors, seconds: float) -> list[float]:
    times: dict[OnnxSession, list[float]] = defaultdict(list)
    end, rounds = time.monotonic() + seconds, 0
    while rounds < _LEAST_ROUNDS or time.monotonic() < end:
        for session in sessions:
            run_ms(session, values)
            times[session].append(run_ms(session, values))
        rounds += 1
    return [median(times[session]) for session in sessions]


def _segment(
    profile: Profile, span: tuple[Kind, tuple[int, int], Cut, Cut], whole_ms: float, measured_ms: float
) -> Segment:
    kind, between, lower, upper = span
    share = sum(profile.node_ms[name] for name in nodes_between(lower, upper)) / profile.whole_ms
    return Segment(kind, between, share, share * whole_ms, measured_ms)


def mean_errors(found: Iterable[list[Segment]]) -> dict[str, float]:
    """Return the mean of the errors' magnitudes: of heads, middles, both together, and tails."""
    errors: dict[str, list[float]] = defaultdict(list)
    for segment in itertools.chain.from_iterable(found):
        errors[f"{segment.kind}s"].append(abs(segment.error))
    errors["heads and middles"] = errors["heads"] + errors["middles"]
    return {kind: mean(of_kind) for kind, of_kind in errors.items()}


def _print(name: str, segments: Sequence[Segment]) -> None:
    print(name)
    for one in segments:
        low, high = one.between
        print(
            f"  {one.kind:6} {low}/4 to {high}/4 {one.share:6.1%}  predicted {one.predicted_ms:8.3f} ms  "
            f"measured {one.measured_ms:8.3f} ms  error {one.error:+6.1%}"
        )


if __name__ == "__main__":
    main()
