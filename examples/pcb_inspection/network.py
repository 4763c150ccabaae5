"""The three-exit network: three convolutional stages, narrow tensors between them, a head on each.

Early exits follow BranchyNet (Teerapittayanon et al., 2016). What differs from a textbook network is
where it is narrow: at the end of a stage, where SplitNet may cut it and a link must carry the tensor.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

CLASSES = ("ok", "open", "short", "mouse bite", "spur", "spurious copper", "pin hole")
TILE_PIXELS = 64
# 16 x 8 x 8 values are 1,024 bytes as uint8: no larger than the packed input, so that a cut here can pay.
BOUNDARY_CHANNELS = 16
BOUNDARY_PIXELS = 8


class ExitLogits(NamedTuple):
    """The logits of the three exits, shallowest first, each float32 [batch, 7]."""

    exit1: Tensor
    exit2: Tensor
    last: Tensor


def conv_unit(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside an identity (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_unit(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Maps float32 [batch, channels, height, width] to the same shape."""
        return torch.relu(features + self.second(self.first(features)))


def exit_head(channels: int, *, hidden: int = 64) -> nn.Sequential:
    """A classifier on [batch, channels, 8, 8] features.

    Pooling stops at 4 x 4: a global average would drop where the defect lies relative to the conductor,
    which is what tells a spur from a short.
    """
    return nn.Sequential(
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(channels * (BOUNDARY_PIXELS // 2) ** 2, hidden),
        nn.ReLU(),
        nn.Linear(hidden, len(CLASSES)),
    )


class InspectionNetwork(nn.Module):
    """Classifies a tested tile against its template, at three depths of about 2, 6 and 16 million MACs."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            conv_unit(3, 16, stride=2),
            conv_unit(16, 24, stride=2),
            conv_unit(24, 32, stride=2),
            conv_unit(32, BOUNDARY_CHANNELS),
        )
        self.head1 = exit_head(BOUNDARY_CHANNELS)
        self.stage2 = nn.Sequential(
            conv_unit(BOUNDARY_CHANNELS, 64), ResidualBlock(64), conv_unit(64, BOUNDARY_CHANNELS)
        )
        self.head2 = exit_head(BOUNDARY_CHANNELS)
        self.stage3 = nn.Sequential(conv_unit(BOUNDARY_CHANNELS, 80), ResidualBlock(80), ResidualBlock(80))
        self.head3 = exit_head(80)

    def boundary1(self, bits: Tensor) -> Tensor:
        """The end of stage 1, float32 [batch, 16, 8, 8], never negative, of float32 bits [batch, 2, 64, 64]."""
        tested, template = bits[:, :1], bits[:, 1:]
        # Given rather than learned: where the two tiles disagree. Stage 1 is too small to spend on it.
        features: Tensor = self.stage1(torch.cat([tested, template, (tested - template).abs()], dim=1))
        return features

    def boundary2(self, boundary1: Tensor) -> Tensor:
        """The end of stage 2, float32 [batch, 16, 8, 8], never negative."""
        features: Tensor = self.stage2(boundary1)
        return features

    def classify(self, boundary1: Tensor, boundary2: Tensor) -> ExitLogits:
        """The logits of every exit, of the two tensors that the stages hand on."""
        return ExitLogits(self.head1(boundary1), self.head2(boundary2), self.head3(self.stage3(boundary2)))

    def forward(self, bits: Tensor) -> ExitLogits:
        """Classifies float32 bits [batch, 2, 64, 64] (tested tile, template) at every exit."""
        boundary1 = self.boundary1(bits)
        return self.classify(boundary1, self.boundary2(boundary1))
