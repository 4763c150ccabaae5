"""Principal components of a boundary tensor's channels or patches: where the training of a bottleneck begins."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from splitnet.codec import Bottleneck
from splitnet.learn.bottleneck.form import Form

# Rows beyond these change the leading components little, and a decomposition takes time in proportion.
_MOST_ROWS = 16_384
# Share of the metric that weighs all directions alike: samples show no gradient along some that matter.
_ALIKE = 0.2


@dataclass(frozen=True, slots=True)
class Metric:
    """What an error in a patch costs: the square root of a quadratic form, `[patch, patch]`, and its inverse."""

    root: Tensor
    inverse: Tensor


def metric_of(form: Form, gradients: NDArray[np.float32], *, seed: int) -> Metric:
    """Return the metric in which an error costs what it changes in the loss, to first order.

    Args:
        form: of the bottleneck.
        gradients: of the loss by the boundary tensor, `[n, ...]`.
        seed: of the rows that are looked at.
    """
    rows = _rows(form, gradients, seed).double()
    products = rows.T @ rows
    size = len(products)
    # All gradients may be 0, where nothing is lost.
    products *= size / products.trace().clamp(min=torch.finfo(torch.float64).tiny)
    values, vectors = torch.linalg.eigh((1 - _ALIKE) * products + _ALIKE * torch.eye(size, dtype=torch.float64))
    roots = values.clamp(min=_ALIKE / 2).sqrt()
    return Metric(((vectors * roots) @ vectors.T).float(), ((vectors / roots) @ vectors.T).float())


def principal_bottleneck(
    form: Form, boundary: NDArray[np.float32], *, metric: Metric | None = None, seed: int
) -> Bottleneck:
    """Return the bottleneck of `form` that keeps the leading principal components.

    Randomised: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011.

    Args:
        form: of the bottleneck.
        boundary: values of the tensor, `[n, ...]`.
        metric: in which the components are the leading ones; None counts all errors alike.
        seed: of the rows that are looked at, and of the decomposition.
    """
    mean = _channel_mean(form, boundary)
    rows = _rows(form, boundary, seed) - torch.from_numpy(np.tile(mean, form.stride**2))
    basis = _components(rows if metric is None else rows @ metric.root, form.width, seed)
    encode, decode = (basis, basis) if metric is None else (metric.root @ basis, metric.inverse @ basis)
    return form.bottleneck(encode.numpy(), decode.numpy(), mean, seed=seed)


def _components(rows: Tensor, width: int, seed: int) -> Tensor:
    """Return the leading components of `rows` as columns, `[row's length, width]`."""
    kept = min(width, *rows.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, _, found = torch.pca_lowrank(rows, q=kept, center=False, niter=4)
        # Fewer rows than components: what is left starts small and random, since zeros would learn nothing.
        rest = 0.01 * torch.randn(rows.shape[1], width - kept)
    return torch.cat([found, rest], 1)


def _channel_mean(form: Form, boundary: NDArray[np.float32]) -> NDArray[np.float32]:
    axes = (0, 2, 3) if form.image else tuple(range(boundary.ndim - 1))
    mean: NDArray[np.float32] = boundary.mean(axis=axes)
    return mean


def _rows(form: Form, boundary: NDArray[np.float32], seed: int) -> Tensor:
    """Return patches `[rows, stride * stride * features]` of random samples, enough for `_MOST_ROWS`."""
    rows_of_one = max(1, boundary[0].size // form.patch)
    count = min(len(boundary), -(-_MOST_ROWS // rows_of_one))
    chosen = np.random.default_rng(seed).choice(len(boundary), count, replace=False)
    values = torch.from_numpy(boundary[np.sort(chosen)])
    if form.image is None:
        return values.reshape(-1, form.features)
    # A last row or column without a pair has zeros beside it, as in the encoder.
    height, width = form.image
    padded = functional.pad(values, (0, -width % form.stride, 0, -height % form.stride))
    stride = form.stride
    tiles = padded.unfold(2, stride, stride).unfold(3, stride, stride)
    return tiles.permute(0, 2, 3, 4, 5, 1).reshape(-1, form.patch)
