"""Learned bottlenecks for a cut: priced before they are trained, and trained against the uncut model."""

import importlib.util
from collections.abc import Sequence

import onnx_ir as ir

from splitnet.codec import Bottleneck
from splitnet.errors import InvalidArgumentError
from splitnet.learn.bottleneck.form import form_of
from splitnet.learn.bottleneck.trained import LEAST_SAMPLES, Trained, Training
from splitnet.samples import Samples
from splitnet.tensors import TensorSpec


def untrained(spec: TensorSpec, reduction: int, *, seed: int = 0) -> Bottleneck | None:
    """Return a bottleneck of the right form that has learned nothing, to be priced before the training.

    Args:
        spec: the boundary tensor.
        reduction: how many times fewer values than the tensor the code has; 2 or more.
        seed: of its weights.

    Returns:
        None where the tensor's type or shape has no such bottleneck (docs/bottleneck.md, "The layers").
    """
    form = form_of(spec, reduction)
    return None if form is None else form.seeded(seed)


def check_trainable(samples: Samples) -> None:
    """Raise unless bottlenecks can be trained here on `samples`.

    Raises:
        InvalidArgumentError: torch is not installed, or there are fewer than `LEAST_SAMPLES` samples.
    """
    if importlib.util.find_spec("torch") is None:
        raise InvalidArgumentError(
            "training a bottleneck needs torch: install SplitNet with the extra, splitnet[train], or leave "
            "--bottleneck out"
        )
    if samples.count < LEAST_SAMPLES:
        raise InvalidArgumentError(
            f"a bottleneck is trained on at least {LEAST_SAMPLES} samples, got {samples.count}: give more of them "
            "with --calibration"
        )


def train(
    model: ir.Model, tensor: TensorSpec, outputs: Sequence[str], samples: Samples, *, training: Training
) -> Trained:
    """Train a bottleneck for a tensor that cuts the model alone.

    Args:
        model: as `load_model` returns it, with shapes recorded; unchanged.
        tensor: the boundary tensor.
        outputs: names of the outputs above it whose answers are to stay.
        samples: calibration data; labels are not used.
        training: reduction, time and seed.

    Raises:
        InvalidArgumentError: torch is not installed, there are fewer than `LEAST_SAMPLES` samples, or the tensor
            has no bottleneck of that reduction.
        ModelError: the tensor does not cut the outputs from the inputs alone, holds NaN or infinity on the
            samples, or the model has more weights than one ONNX file holds.
    """
    check_trainable(samples)
    if form_of(tensor, training.reduction) is None:
        raise InvalidArgumentError(
            f"tensor {tensor.name!r}: {tensor.dtype} {list(tensor.shape)} has no bottleneck of reduction "
            f"{training.reduction}; expected float32 [batch, channels, height, width], [batch, sequence, hidden] "
            f"or [batch, features] with at least {max(8, training.reduction)} channels or features"
        )
    # Only here, so that planning needs no torch.
    from splitnet.learn.bottleneck.distil import distil  # noqa: PLC0415

    return distil(model, tensor, [name for name in outputs if name != tensor.name], samples, training=training)
