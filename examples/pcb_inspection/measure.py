"""Measuring: what each exit answers, how often it is right, what the cascade of exits makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from network import ExitLogits, InspectionNetwork
from numpy.typing import NDArray
from tiles import TileSet
from torch import Tensor

CHUNK = 512


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of the three exits, shallowest first.

    Attributes:
        correct: bool [3, n].
        confidence: float32 [3, n], the largest softmax probability.
    """

    correct: NDArray[np.bool_]
    confidence: NDArray[np.float32]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Answers:
        return Answers(self.correct[:, chosen], self.confidence[:, chosen])

    def accuracy(self) -> NDArray[np.float64]:
        """The share of right answers of each exit, float64 [3]."""
        return np.asarray(self.correct.mean(axis=1), np.float64)

    def cascade(self, thresholds: tuple[float, float]) -> tuple[NDArray[np.float64], float]:
        """The share of samples that leaves at each exit, float64 [3], and the accuracy of what answers."""
        leaves = self.confidence >= np.array([*thresholds, 0.0], np.float32)[:, None]
        left_at = leaves.argmax(axis=0)
        shares = np.bincount(left_at, minlength=3) / left_at.size
        return shares, float(self.correct[left_at, np.arange(left_at.size)].mean())


@dataclass(frozen=True, slots=True)
class Range:
    """A per-tensor affine uint8 quantisation of [0, high]; ReLU makes the lower end 0."""

    high: float

    def rounded(self, tensor: Tensor) -> Tensor:
        """What is left of `tensor` after a trip through uint8."""
        step = self.high / 255
        return (tensor / step).round().clamp(0, 255) * step


@torch.inference_mode()
def answers(network: InspectionNetwork, tiles: TileSet, *, ranges: tuple[Range, Range] | None = None) -> Answers:
    """Runs all exits on all tiles; with `ranges`, both boundary tensors go through uint8 on the way."""
    parts: list[ExitLogits] = []
    for bits in torch.split(tiles.bits(), CHUNK):
        boundary1 = network.boundary1(bits.float())
        if ranges is not None:
            boundary1 = ranges[0].rounded(boundary1)
        boundary2 = network.boundary2(boundary1)
        if ranges is not None:
            boundary2 = ranges[1].rounded(boundary2)
        parts.append(network.classify(boundary1, boundary2))
    probability, answer = torch.stack([torch.cat(exit_).softmax(-1) for exit_ in zip(*parts, strict=True)]).max(
        dim=-1
    )
    return Answers((answer == torch.from_numpy(tiles.labels)).numpy(), probability.numpy())


@torch.inference_mode()
def boundary_ranges(network: InspectionNetwork, tiles: TileSet) -> tuple[Range, Range]:
    """The largest value of each boundary tensor over `tiles`."""
    high1 = high2 = 0.0
    for bits in torch.split(tiles.bits(), CHUNK):
        boundary1 = network.boundary1(bits.float())
        high1 = max(high1, float(boundary1.max()))
        high2 = max(high2, float(network.boundary2(boundary1).max()))
    return Range(high1), Range(high2)
