"""The bottleneck as a torch module: its layers, and the uint8 of its code, with gradients straight through."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from splitnet.codec import Bottleneck, Layer

# Of the range so far a batch keeps this share: the range follows the encoder within about ten batches.
_KEPT_RANGE = 0.9
_LEVELS = 255


class TrainableLayer(nn.Module):
    """A layer whose weight and bias are parameters."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self._layer = layer
        self.weight = nn.Parameter(torch.from_numpy(layer.weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()))

    def forward(self, x: Tensor) -> Tensor:
        """Compute what the codec's nodes compute."""
        made = self._linear(x)
        return functional.relu(made) if self._layer.relu else made

    def _linear(self, x: Tensor) -> Tensor:
        layer = self._layer
        if layer.operator == "linear":
            return x @ self.weight + self.bias
        if layer.operator == "conv":
            return functional.conv2d(x, self.weight, self.bias, stride=layer.stride, padding=layer.padding)
        return functional.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            stride=layer.stride,
            padding=layer.padding,
            output_padding=layer.output_padding,
        )

    def frozen(self) -> Layer:
        """Return the layer with the weights as they are now."""
        layer = self._layer
        weight, bias = (each.detach().numpy().copy() for each in (self.weight, self.bias))
        return Layer(
            layer.operator,
            weight,
            bias,
            stride=layer.stride,
            padding=layer.padding,
            output_padding=layer.output_padding,
            relu=layer.relu,
        )


class TrainableCode(nn.Module):
    """Encoder, uint8 and decoder in one; takes the boundary tensor and returns what the other side would see.

    In training, the code's range is a moving average of the batches' ranges; otherwise it stays as it is.
    """

    low: Tensor
    high: Tensor

    def __init__(self, bottleneck: Bottleneck) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*map(TrainableLayer, bottleneck.encoder))
        self.decoder = nn.Sequential(*map(TrainableLayer, bottleneck.decoder))
        self.register_buffer("low", torch.tensor(bottleneck.code_low))
        self.register_buffer("high", torch.tensor(bottleneck.code_high))

    def forward(self, x: Tensor) -> Tensor:
        """Return the tensor after its trip, of the same shape."""
        code = self.encoder(x)
        if self.training:
            self._follow(code.detach())
        decoded: Tensor = self.decoder(self._quantised(code))
        return decoded

    def set_range(self, x: Tensor) -> None:
        """Set the range to that of the code of `x`."""
        with torch.no_grad():
            code = self.encoder(x)
        self.low, self.high = code.min(), code.max()

    def bottleneck(self) -> Bottleneck:
        """Return the bottleneck with the weights and the range as they are now."""
        encoder, decoder = (
            tuple(layer.frozen() for layer in layers if isinstance(layer, TrainableLayer))
            for layers in (self.encoder, self.decoder)
        )
        return Bottleneck(encoder, decoder, float(self.low), float(self.high))

    def _follow(self, code: Tensor) -> None:
        self.low = torch.lerp(code.min(), self.low, _KEPT_RANGE)
        self.high = torch.lerp(code.max(), self.high, _KEPT_RANGE)

    def _quantised(self, code: Tensor) -> Tensor:
        """Round to uint8 and back as the codec does; the gradient passes where the code is within its range.

        Straight-through: Bengio, Léonard and Courville, "Estimating or propagating gradients through
        stochastic neurons", 2013.
        """
        low, high = self.low.clamp(max=0), self.high.clamp(min=0)
        scale = ((high - low) / _LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
        zero = torch.round(-low / scale)
        clipped = torch.clamp(code, -zero * scale, (_LEVELS - zero) * scale)
        rounded = torch.round(clipped / scale) * scale
        return clipped + (rounded - clipped).detach()
