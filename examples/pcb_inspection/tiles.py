"""The tiles: loading the packed arrays, splitting them with a seed, augmenting a batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TILES = Path(__file__).parent / "tiles"
# Production lines that are only in test.npz: the domain shift that a new line brings.
UNSEEN_LINES = (12000, 12100, 12300, 90100)

# The class that each class becomes when copper and gap are exchanged.
NEGATIVES = (0, 2, 1, 4, 3, 6, 5)


@dataclass(frozen=True, slots=True)
class TileSet:
    """Tiles with their labels.

    Attributes:
        packed: uint8 [n, 2, 64, 8], tested tile and template, eight pixels a byte.
        labels: int64 [n], 0 to 6.
        lines: int64 [n], the production line each tile comes from.
    """

    packed: NDArray[np.uint8]
    labels: NDArray[np.int64]
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> TileSet:
        return TileSet(self.packed[chosen], self.labels[chosen], self.lines[chosen])

    def bits(self) -> Tensor:
        """The unpacked pixels, uint8 [n, 2, 64, 64] of 0 and 1."""
        return torch.from_numpy(np.unpackbits(self.packed, axis=-1))


def load_tiles(name: str) -> TileSet:
    """Reads `train` or `test`."""
    with np.load(TILES / f"{name}.npz") as arrays:
        return TileSet(
            packed=arrays["tiles"],
            labels=arrays["labels"].astype(np.int64),
            lines=arrays["line"].astype(np.int64),
        )


def hold_out(tiles: TileSet, *, share: float, seed: int) -> tuple[TileSet, TileSet]:
    """Splits at random into (kept, held out), the same way for the same seed."""
    order = np.random.default_rng(seed).permutation(len(tiles))
    held = round(share * len(tiles))
    return tiles[np.sort(order[held:])], tiles[np.sort(order[:held])]


def save_tiles(tiles: TileSet, path: Path) -> None:
    """Writes tiles as `load_tiles` reads them, for `splitnet partition --calibration`."""
    labels, lines = tiles.labels.astype(np.uint8), tiles.lines.astype(np.uint32)
    np.savez_compressed(path, tiles=tiles.packed, labels=labels, line=lines)


def augment(bits: Tensor, generator: torch.Generator) -> Tensor:
    """Draws a random view of each pair of tiles.

    A defect keeps its class under the eight symmetries of the square and under small shifts, applied to
    both tiles alike. Then the template alone may move by a pixel or lose or gain a rim, as when another
    line's camera aligns or binarises a little differently.

    Args:
        bits: uint8 [batch, 2, 64, 64].
        generator: the source of randomness.

    Returns:
        float32 [batch, 2, 64, 64] of 0 and 1.
    """

    def chosen(probability: float) -> Tensor:
        return torch.rand(len(bits), 1, 1, 1, generator=generator) < probability

    bits = torch.where(chosen(0.5), bits.flip(-1), bits)
    bits = torch.where(chosen(0.5), bits.flip(-2), bits)
    bits = torch.where(chosen(0.5), bits.transpose(-1, -2), bits)
    bits = _shifted(bits, generator)
    views = bits.float()
    views = torch.where(chosen(0.1), _rim_moved(views, outwards=True), views)
    return torch.where(chosen(0.1), _rim_moved(views, outwards=False), views)


def invert(views: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Trades copper for gap in a third of the pairs, and each class for its mirror.

    What bridges two conductors cuts, inverted, the gap between them: open and short, mouse bite and spur,
    pin hole and spurious copper are each other's negatives.

    Args:
        views: float32 [batch, 2, 64, 64] of 0 and 1.
        labels: int64 [batch].
        generator: the source of randomness.

    Returns:
        Views and labels of the same shapes.
    """
    chosen = torch.rand(len(views), generator=generator) < 1 / 3
    mirrored = torch.tensor(NEGATIVES)[labels]
    return torch.where(chosen[:, None, None, None], 1 - views, views), torch.where(chosen, mirrored, labels)


def _shifted(bits: Tensor, generator: torch.Generator, *, reach: int = 4) -> Tensor:
    """Moves both tiles by up to `reach` pixels, a third of the templates by up to one more."""
    batch, channels, size, _ = bits.shape
    together = torch.randint(-reach, reach + 1, (batch, 1, 2), generator=generator)
    apart = torch.randint(-1, 2, (batch, 1, 2), generator=generator)
    apart *= torch.rand(batch, 1, 1, generator=generator) < 1 / 3
    offsets = torch.cat([together, together + apart], dim=1)
    # Pixels that come in from outside repeat the edge, since conductors mostly run on.
    places = (torch.arange(size) + offsets[..., None]).clamp(0, size - 1)
    rows, columns = places[:, :, 0, :, None], places[:, :, 1, None, :]
    sample = torch.arange(batch)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    return bits[sample, channel, rows, columns]


def _rim_moved(views: Tensor, *, outwards: bool) -> Tensor:
    """Grows or shrinks the template's copper by a one-pixel rim."""
    template = views[:, 1:]
    sign = 1.0 if outwards else -1.0
    across = torch.nn.functional.max_pool2d(sign * template, (1, 3), stride=1, padding=(0, 1))
    along = torch.nn.functional.max_pool2d(sign * template, (3, 1), stride=1, padding=(1, 0))
    return torch.cat([views[:, :1], sign * torch.maximum(across, along)], dim=1)
