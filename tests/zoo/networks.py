"""Three convolutional networks by hand, each hard to cut in its own way: skips, parallel branches, dense links."""

import torch
from torch import Tensor, nn


def _conv(channels: tuple[int, int], size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(*channels, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels[1]),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """U-Net (Ronneberger et al., 2015) with padded convolutions: four skips that cross every cut between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width << level for level in range(5)]
        self.down = nn.ModuleList(
            nn.Sequential(_conv((before, after)), _conv((after, after)))
            for before, after in zip([3, *widths], widths, strict=False)
        )
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.up = nn.ModuleList(nn.Sequential(_conv((2 * w, w)), _conv((w, w))) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        skips = [self.down[0](image)]
        for block in self.down[1:]:
            skips.append(block(nn.functional.max_pool2d(skips[-1], 2)))
        at = skips.pop()
        for grow, block in zip(self.grow, self.up, strict=True):
            at = block(torch.cat([skips.pop(), grow(at)], 1))
        answer: Tensor = self.head(at)
        return answer


class _Inception(nn.Module):
    def __init__(self, before: int, one: int, three: tuple[int, int], five: tuple[int, int], pool: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _conv((before, one), 1),
                nn.Sequential(_conv((before, three[0]), 1), _conv(three)),
                nn.Sequential(_conv((before, five[0]), 1), _conv(five, 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _conv((before, pool), 1)),
            ]
        )
        self.width = one + three[1] + five[1] + pool

    def forward(self, at: Tensor) -> Tensor:
        return torch.cat([branch(at) for branch in self.branches], 1)


# 1x1, 3x3 with its reduction, 5x5 with its reduction, pooled: table 1 of Szegedy et al., 2014.
_INCEPTIONS = (
    (64, (96, 128), (16, 32), 32),
    (128, (128, 192), (32, 96), 64),
    (192, (96, 208), (16, 48), 64),
    (160, (112, 224), (24, 64), 64),
    (128, (128, 256), (24, 64), 64),
    (112, (144, 288), (32, 64), 64),
    (256, (160, 320), (32, 128), 128),
    (256, (160, 320), (32, 128), 128),
    (384, (192, 384), (48, 128), 128),
)


class GoogLeNet(nn.Module):
    """GoogLeNet (Szegedy et al., 2014) without its auxiliary heads; `narrowing` divides every width."""

    def __init__(self, narrowing: int, classes: int) -> None:
        super().__init__()
        stem = 64 // narrowing, 192 // narrowing
        layers: list[nn.Module] = [_conv((3, stem[0]), 7, 2), nn.MaxPool2d(2), _conv(stem), nn.MaxPool2d(2)]
        width = stem[1]
        for index, (one, three, five, pool) in enumerate(_INCEPTIONS):
            if index in (2, 7):
                layers.append(nn.MaxPool2d(2))
            block = _Inception(
                width,
                one // narrowing,
                (three[0] // narrowing, three[1] // narrowing),
                (five[0] // narrowing, five[1] // narrowing),
                pool // narrowing,
            )
            layers.append(block)
            width = block.width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.head(self.features(image).mean((2, 3)))
        return answer


class _DenseLayer(nn.Module):
    def __init__(self, before: int, growth: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, 4 * growth, 1, bias=False)
        )
        self.grow = nn.Sequential(
            nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        )

    def forward(self, at: Tensor) -> Tensor:
        return torch.cat([at, self.grow(self.narrow(at))], 1)


class DenseNet(nn.Module):
    """DenseNet-BC (Huang et al., 2017); growth 32 and blocks of 6, 12, 24 and 16 make it DenseNet-121."""

    def __init__(self, growth: int, blocks: tuple[int, ...], classes: int) -> None:
        super().__init__()
        width = 2 * growth
        layers: list[nn.Module] = [_conv((3, width), 7, 2), nn.MaxPool2d(2)]
        for index, depth in enumerate(blocks):
            for _ in range(depth):
                layers.append(_DenseLayer(width, growth))
                width += growth
            if index < len(blocks) - 1:
                layers += [
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.Conv2d(width, width // 2, 1, bias=False),
                    nn.AvgPool2d(2),
                ]
                width //= 2
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.head(self.features(image).mean((2, 3)))
        return answer
