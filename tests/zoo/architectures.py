"""The architectures that are cut in these tests: of real structure, narrow and shallow, or of full size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import transformers
from torch import Tensor, nn

from tests.zoo.networks import DenseNet, GoogLeNet, UNet

Examples = dict[str, Tensor]
Size = Literal["small", "full"]
Build = Callable[[Size], tuple[nn.Module, Examples]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A way to build a network.

    Attributes:
        build: makes a network with random weights, and its example inputs.
        singles: how many tensors alone separate inputs and outputs in the small network; no fewer in the full.
    """

    build: Build
    singles: int


def _image(size: int, name: str = "pixel_values") -> Examples:
    return {name: torch.randn(1, 3, size, size)}


def _tokens(vocabulary: int, length: int) -> Examples:
    return {"input_ids": torch.randint(0, vocabulary, (1, length))}


def _resnet(size: Size) -> tuple[nn.Module, Examples]:
    if size == "full":
        return transformers.ResNetForImageClassification(transformers.ResNetConfig()), _image(224)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 24, 32, 40])
    return transformers.ResNetForImageClassification(config), _image(64)


def _mobilenet(size: Size) -> tuple[nn.Module, Examples]:
    if size == "full":
        return transformers.MobileNetV2ForImageClassification(transformers.MobileNetV2Config()), _image(224)
    config = transformers.MobileNetV2Config(image_size=64, depth_multiplier=0.35)
    return transformers.MobileNetV2ForImageClassification(config), _image(64)


def _vit(size: Size) -> tuple[nn.Module, Examples]:
    if size == "full":
        return transformers.ViTForImageClassification(transformers.ViTConfig()), _image(224)
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=48,
        image_size=32,
        patch_size=8,
    )
    return transformers.ViTForImageClassification(config), _image(32)


def _convnext(size: Size) -> tuple[nn.Module, Examples]:
    if size == "full":
        return transformers.ConvNextForImageClassification(transformers.ConvNextConfig()), _image(224)
    config = transformers.ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[2, 2, 3, 2])
    return transformers.ConvNextForImageClassification(config), _image(64)


def _swin(size: Size) -> tuple[nn.Module, Examples]:
    pixels = 224 if size == "full" else 32
    config = (
        transformers.SwinConfig()
        if size == "full"
        else transformers.SwinConfig(
            image_size=pixels, patch_size=2, embed_dim=12, depths=[2, 2], num_heads=[2, 4], window_size=4
        )
    )
    network = transformers.SwinForImageClassification(config)
    # Of scaled_dot_product_attention torch 2.13 exports a view here that its own check refuses.
    network.set_attn_implementation("eager")
    return network, _image(pixels)


def _bert(size: Size) -> tuple[nn.Module, Examples]:
    config = (
        transformers.BertConfig()
        if size == "full"
        else transformers.BertConfig(
            vocab_size=50, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=48
        )
    )
    tokens = _tokens(config.vocab_size, 128 if size == "full" else 12)
    mask = torch.ones_like(tokens["input_ids"])
    return transformers.BertForSequenceClassification(config), tokens | {"attention_mask": mask}


def _gpt2(size: Size) -> tuple[nn.Module, Examples]:
    config = (
        transformers.GPT2Config(use_cache=False)
        if size == "full"
        else transformers.GPT2Config(
            vocab_size=50,
            n_embd=24,
            n_layer=3,
            n_head=3,
            n_positions=16,
            bos_token_id=0,
            eos_token_id=0,
            use_cache=False,
        )
    )
    return transformers.GPT2LMHeadModel(config), _tokens(config.vocab_size, 64 if size == "full" else 12)


def _yolos(size: Size) -> tuple[nn.Module, Examples]:
    if size == "full":
        config = transformers.YolosConfig(image_size=[512, 512])
        return transformers.YolosForObjectDetection(config), _image(512)
    config = transformers.YolosConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=6,
    )
    return transformers.YolosForObjectDetection(config), _image(32)


def _unet(size: Size) -> tuple[nn.Module, Examples]:
    width, pixels = (64, 256) if size == "full" else (4, 32)
    return UNet(width), _image(pixels, "image")


def _googlenet(size: Size) -> tuple[nn.Module, Examples]:
    narrowing, pixels = (1, 224) if size == "full" else (8, 64)
    return GoogLeNet(narrowing, classes=1000), _image(pixels, "image")


def _densenet(size: Size) -> tuple[nn.Module, Examples]:
    if size == "full":
        return DenseNet(32, (6, 12, 24, 16), classes=1000), _image(224, "image")
    return DenseNet(4, (3, 4, 6, 4), classes=5), _image(64, "image")


ARCHITECTURES = {
    "resnet50": Architecture(_resnet, 35),
    "mobilenetv2": Architecture(_mobilenet, 49),
    "vit": Architecture(_vit, 13),
    "convnext": Architecture(_convnext, 27),
    "swin": Architecture(_swin, 24),
    "bert": Architecture(_bert, 7),
    "gpt2": Architecture(_gpt2, 11),
    "yolos": Architecture(_yolos, 11),
    "unet": Architecture(_unet, 9),
    "googlenet": Architecture(_googlenet, 18),
    "densenet": Architecture(_densenet, 35),
}
