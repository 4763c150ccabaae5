"""Runs models in onnxruntime on one thread, and at basic optimisation, where splitting is bit-equal."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime

from splitnet.graph import (
    Cut,
    extract_segment,
    input_specs,
    model_bytes,
    output_specs,
    record_shapes,
    with_every_output,
)
from splitnet.graph.shapes import Sighting
from splitnet.tensors import Array, Tensors, take_samples
from tests.graph.models import ZOO, loaded, samples

BASIC = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
ALL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def session(model: ir.Model, level: Any = BASIC) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model_bytes(model), options, providers=["CPUExecutionProvider"])


def run(model: ir.Model, feeds: Tensors, level: Any = BASIC) -> Tensors:
    """Run `model` on those of `feeds` that it takes."""
    running = session(model, level)
    wanted = {each.name for each in running.get_inputs()}
    names = [each.name for each in running.get_outputs()]
    arrays = running.run(names, {name: array for name, array in feeds.items() if name in wanted})
    return dict(zip(names, arrays, strict=True))


def observe(model: ir.Model, batches: Sequence[int] = (2, 3)) -> ir.Model:
    """Record the shapes of `model` in place, from runs at `batches`."""
    running = session(with_every_output(model))
    names = [each.name for each in running.get_outputs()]
    runs: list[dict[str, Sighting]] = []
    for batch in batches:
        feeds = samples(model, batch, seed=batch)
        seen: Tensors = feeds | dict(zip(names, running.run(names, feeds), strict=True))
        runs.append({name: (array.dtype.name, array.shape) for name, array in seen.items()})
    record_shapes(model, runs, batches)
    return model


def prepared(name: str, folder: Path) -> tuple[ir.Model, tuple[str, ...]]:
    """Return a model of the zoo with its shapes recorded, and its primary outputs."""
    build, outputs = ZOO[name]
    return observe(loaded(build(), folder)), outputs


def chain(model: ir.Model, outputs: Sequence[str], cuts: Sequence[Cut]) -> list[ir.Model]:
    """Return the segments below, between and above `cuts`."""
    inputs = tuple(value.name or "" for value in model.graph.inputs)
    bounds = [inputs, *(cut.tensors for cut in cuts), tuple(outputs)]
    return [extract_segment(model, *pair) for pair in pairwise(bounds)]


def run_chain(segments: Sequence[ir.Model], feeds: Tensors, outputs: Sequence[str], level: Any = BASIC) -> Tensors:
    """Run `segments` in turn, relaying what passes through."""
    held = dict(feeds)
    for segment in segments:
        held |= run(segment, held, level)
    return {name: held[name] for name in outputs}


def compacted(model: ir.Model, tensors: Tensors, which: Sequence[int]) -> Tensors:
    """Return the samples `which` of each of `tensors`, by the specs of the interface of `model`."""
    specs = {spec.name: spec for spec in [*input_specs(model), *output_specs(model)]}
    return {name: take_samples(specs[name], array, np.array(which)) for name, array in tensors.items()}


def same_bits(left: Tensors, right: Tensors) -> bool:
    """Whether two sets of tensors are equal to the bit."""

    def same(one: Array, other: Array) -> bool:
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()

    return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
