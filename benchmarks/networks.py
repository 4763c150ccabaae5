"""Two networks with seeded random weights and samples for them, to plan for: a residual one and a transformer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from splitnet.partition.torch_export import export_module
from splitnet.tensors import Array

_SEED = 0
_SAMPLES = 16
_CLASSES = 10
_TILES = Path(__file__).parents[1] / "examples" / "pcb_inspection" / "tiles" / "test.npz"


@dataclass(frozen=True, slots=True)
class Exported:
    """A network on disk.

    Attributes:
        model: the ONNX file.
        samples: `.npz` with the model's input, 16 samples.
    """

    model: Path
    samples: Path


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al., 2016)."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        stride = 1 if before == width else 2
        self.path = nn.Sequential(
            nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(before, width, 1, stride=stride)

    def forward(self, at: Tensor) -> Tensor:
        answer: Tensor = nn.functional.relu(self.path(at) + self.shortcut(at))
        return answer


class Residual(nn.Module):
    """A residual network for uint8 pictures `[batch, 3, 192, 192]`: four stages that halve and widen."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 96, 192, 384)
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        befores = (widths[0], *widths[:-1])
        self.blocks = nn.Sequential(*(_Block(one, other) for one, other in zip(befores, widths, strict=True)))
        self.head = nn.Linear(widths[-1], _CLASSES)

    def forward(self, picture: Tensor) -> Tensor:
        """Return `[batch, 10]`."""
        at = self.blocks(self.stem(picture.float() / 127.5 - 1))
        answer: Tensor = self.head(at.mean((2, 3)))
        return answer


class Frames(nn.Module):
    """A transformer for float32 frames `[batch, 512, 64]`, as of a spectrogram; eight make a token of 256."""

    def __init__(self) -> None:
        super().__init__()
        width, tokens = 256, 64
        self.shorten = nn.Sequential(
            nn.Conv1d(64, 96, 5, stride=2, padding=2), nn.GELU(), nn.Conv1d(96, width, 5, stride=4, padding=2)
        )
        self.position = nn.Parameter(torch.randn(tokens, width) / 10)
        self.layers = nn.ModuleList(_Layer(width, heads=8) for _ in range(6))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, _CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        """Return `[batch, 10]`."""
        at = self.shorten(frames.transpose(1, 2)).transpose(1, 2) + self.position
        for layer in self.layers:
            at = layer(at)
        answer: Tensor = self.head(self.norm(at).mean(1))
        return answer


class _Layer(nn.Module):
    """Attention and two dense layers, each behind a norm and beside a shortcut (Vaswani et al., 2017)."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, at: Tensor) -> Tensor:
        query, key, value = self.project(self.norm(at)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        at = at + self.merge(mixed.transpose(1, 2).flatten(2))
        answer: Tensor = at + self.dense(at)
        return answer


def _pictures() -> Array:
    """Return uint8 `[16, 3, 192, 192]`: tiles of circuit boards, 3 x 3; tested, template and tested again."""
    tiles = np.load(_TILES)["tiles"][: 9 * _SAMPLES]
    pixels = 255 * np.unpackbits(tiles, axis=-1).reshape(_SAMPLES, 3, 3, 2, 64, 64)
    boards = pixels.transpose(0, 3, 1, 4, 2, 5).reshape(_SAMPLES, 2, 192, 192)
    return np.ascontiguousarray(boards[:, [0, 1, 0]])


def _spectrograms() -> Array:
    """Return float32 `[16, 512, 64]`, noise of amplitude 1 / frequency and variance 1 (Field, 1987)."""
    noise = np.random.default_rng(_SEED).standard_normal((_SAMPLES, 512, 64))
    rows, columns = (np.fft.fftfreq(size) * size for size in noise.shape[1:])
    frequency = np.maximum(np.hypot(rows[:, None], columns[None, :]), 1.0)
    made = np.fft.ifft2(np.fft.fft2(noise) / frequency).real
    scaled: Array = (made / made.std()).astype(np.float32)
    return scaled


def _export(kind: type[Residual | Frames], name: str, values: Array, folder: Path) -> Exported:
    torch.manual_seed(_SEED)
    module = kind()
    samples = torch.from_numpy(values)
    with torch.no_grad():
        # In training mode, so that the norms see what they normalise.
        for norm in (one for one in module.modules() if isinstance(one, nn.BatchNorm2d)):
            norm.momentum = 1.0
        module.train()(samples)
        # Else one class wins on every sample, whatever a codec does.
        module.head.bias.sub_(module.eval()(samples).mean(0))
    path = export_module((module, {name: samples[:2]}), folder / f"{kind.__name__.lower()}.onnx", source=name)
    np.savez(folder / f"{name}.npz", allow_pickle=False, **{name: values})
    return Exported(path, folder / f"{name}.npz")


#: By name, what exports a network into a folder.
NETWORKS: dict[str, Callable[[Path], Exported]] = {
    "residual": lambda folder: _export(Residual, "picture", _pictures(), folder),
    "transformer": lambda folder: _export(Frames, "frames", _spectrograms(), folder),
}
