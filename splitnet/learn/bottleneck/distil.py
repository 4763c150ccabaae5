"""From a model and samples to a trained bottleneck: observe, begin with principal components, fit, and check."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from splitnet.codec import Bottleneck, TensorCodec, codec_model
from splitnet.errors import ModelError
from splitnet.graph import extract_segment, model_bytes
from splitnet.learn.bottleneck.begin import first_code
from splitnet.learn.bottleneck.fit import fit
from splitnet.learn.bottleneck.form import form_of
from splitnet.learn.bottleneck.objective import Objective
from splitnet.learn.bottleneck.observe import Observed, observe
from splitnet.learn.bottleneck.trained import Trained, Training
from splitnet.learn.onnx_as_torch import TorchGraph, as_torch
from splitnet.onnx_session import OnnxSession
from splitnet.samples import Samples
from splitnet.tensors import Array, TensorSpec

_log = logging.getLogger(__name__)

# One sample in five chooses among the weights and says how many answers stay.
_HELD_OUT = 5
_MOST_HELD_OUT = 1024
# As far as torch may be off onnxruntime, relative to the largest value, before its gradients are mistrusted.
_TOLERANCE = 1e-3
_TRIED_SAMPLES = 4
_BATCH = 16


def distil(
    model: ir.Model, tensor: TensorSpec, outputs: Sequence[str], samples: Samples, *, training: Training
) -> Trained:
    """Train a bottleneck; `splitnet.partition.bottlenecks.train` has checked its arguments, and says the rest."""
    form = form_of(tensor, training.reduction)
    assert form is not None, tensor
    tail = extract_segment(model, [tensor.name], outputs)
    observed = observe(model, tensor, outputs, samples, seed=training.seed)
    if not np.isfinite(observed.boundary).all():
        raise ModelError(
            f"tensor {tensor.name!r} holds NaN or infinity on calibration samples, of which no bottleneck can be "
            "learned; cut elsewhere, or leave --bottleneck out"
        )
    held_out, fitting = _divided(observed)
    graph, reason = _differentiable(tail, tensor, observed)
    objective = Objective(tensor.name, fitting, graph)
    if graph is not None and not objective.has_answers:
        reason = "no output of the model is a float tensor with a row for each sample"
    if reason:
        _log.warning("bottleneck at %r: trained on the tensor alone: %s", tensor.name, reason)
    with _one_thread():
        code = first_code(form, objective, fitting, seed=training.seed)
        losses = fit(code, objective, fitting, held_out, training=training)
    bottleneck = code.bottleneck()
    return Trained(
        bottleneck,
        _agreement(tail, tensor, bottleneck, held_out),
        held_out.count,
        losses,
        "features" if reason else "distillation",
        reason,
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: a second one that waits for a busy core made a step ten times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _divided(observed: Observed) -> tuple[Observed, Observed]:
    """Return held-out samples and those to fit; their order is random already."""
    count = min(observed.count // _HELD_OUT, _MOST_HELD_OUT)
    return observed.take(slice(count)), observed.take(slice(count, None))


def _differentiable(tail: ir.Model, tensor: TensorSpec, observed: Observed) -> tuple[TorchGraph | None, str]:
    """Return the tail as a torch function, or why there is none: tried on a few samples, its answers differ."""
    try:
        graph = as_torch(tail)
        few = observed.take(slice(_TRIED_SAMPLES))
        with torch.no_grad():
            made = graph({tensor.name: torch.from_numpy(few.boundary)})
    except ModelError as err:
        return None, str(err)
    for name, wanted in few.outputs.items():
        if wanted.dtype.kind == "f" and not _close(made[name].numpy(), wanted):
            return None, f"output {name!r} of the tail in torch is not what onnxruntime makes"
    return graph, ""


def _close(made: Array, wanted: Array) -> bool:
    if made.shape != wanted.shape:
        return False
    scale = float(np.abs(wanted).max(initial=0.0))
    return bool(np.allclose(made, wanted, rtol=0, atol=_TOLERANCE * max(scale, 1e-6), equal_nan=True))


def _agreement(tail: ir.Model, tensor: TensorSpec, bottleneck: Bottleneck, held_out: Observed) -> float | None:
    """Return the share of predicted classes that stay when the tensor goes through the codec's own nodes."""
    wanted = {name: array for name, array in held_out.outputs.items() if array.ndim == 2}
    if not wanted:
        return None
    made = _answers(tail, tensor, bottleneck, held_out.boundary)
    agreeing = [made[name].argmax(axis=1) == array.argmax(axis=1) for name, array in wanted.items()]
    return float(np.mean(agreeing))


def _answers(
    tail: ir.Model, tensor: TensorSpec, bottleneck: Bottleneck, boundary: NDArray[np.float32]
) -> dict[str, Array]:
    codec = TensorCodec("bottleneck", tensor, bottleneck=bottleneck)
    models = codec_model(codec, "encode"), codec_model(codec, "decode"), tail
    encode, decode, rest = (
        OnnxSession(model_bytes(each), name=f"bottleneck at {tensor.name!r}") for each in models
    )
    parts: dict[str, list[Array]] = {name: [] for name in rest.outputs}
    for start in range(0, len(boundary), _BATCH):
        decoded = decode.run(encode.run({tensor.name: boundary[start : start + _BATCH]}))
        for name, array in rest.run(decoded).items():
            parts[name].append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items() if arrays[0].ndim}
