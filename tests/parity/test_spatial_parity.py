"""Cells of towers against what the whole picture says, and against attention written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ophclip.model_options import TowerKind, VisualConfig
from ophclip.models.spatial import spatial_features, takes_any_size
from ophclip.models.towers import Tower, build_visual_tower


def tower(name: str, kind: TowerKind = TowerKind.TIMM, side_px: int = 64) -> Tower:
    torch.manual_seed(0)
    built = build_visual_tower(VisualConfig(kind=kind, name=name, image_size_px=side_px), 24)
    return built.eval()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
@torch.inference_mode()
def test_the_mean_of_the_cells_is_the_picture_where_the_head_is_linear(name: str) -> None:
    built, pictures = tower(name), torch.randn(2, 3, 64, 96)
    cells_bhwd = spatial_features(built, pictures)
    assert takes_any_size(built)
    assert cells_bhwd.shape == (2, 2, 3, 24)
    torch.testing.assert_close(cells_bhwd.mean(dim=(1, 2)), built(pictures), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_cells_of_an_attention_pool_are_its_values_projected() -> None:
    built = tower("RN50", TowerKind.OPEN_CLIP)
    network: Any = built.network
    cells_bhwd = spatial_features(built, torch.randn(1, 3, 64, 96))
    assert takes_any_size(built)
    assert cells_bhwd.shape == (1, 2, 3, 24)
    pool, maps_bchw = network.attnpool, torch.randn(1, 2048, 2, 3)
    seen = pool.c_proj(pool.v_proj(maps_bchw[0, :, 1, 2]))
    network.layer4 = torch.nn.Identity()
    network.layer3 = torch.nn.Identity()
    network.layer2 = torch.nn.Identity()
    network.layer1 = torch.nn.Identity()
    network.stem = lambda _frames: maps_bchw
    torch.testing.assert_close(spatial_features(built, torch.zeros(1, 3, 64, 96))[0, 1, 2], seen)


def values_of_open_clip(network: Any, pictures: torch.Tensor) -> torch.Tensor:
    """MaskCLIP's last block, written out."""
    tokens = network._embeds(pictures)
    for block in network.transformer.resblocks[:-1]:
        tokens = block(tokens)
    last = network.transformer.resblocks[-1]
    attention, width = last.attn, tokens.shape[-1]
    normed = last.ln_1(tokens)
    values = F.linear(normed, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :])
    tokens = tokens + attention.out_proj(values)
    tokens = tokens + last.mlp(last.ln_2(tokens))
    seen: torch.Tensor = network.ln_post(tokens[:, 1:]) @ network.proj
    return seen


@torch.inference_mode()
def test_cells_of_a_transformer_are_the_values_of_its_last_block() -> None:
    built = tower("tiny", TowerKind.OPEN_CLIP)
    pictures = torch.randn(2, 3, 64, 64)
    cells_bhwd = spatial_features(built, pictures)
    assert not takes_any_size(built)
    assert cells_bhwd.shape == (2, 4, 4, 24)
    torch.testing.assert_close(cells_bhwd.flatten(1, 2), values_of_open_clip(built.network, pictures))


@torch.inference_mode()
def test_cells_of_timms_transformers_are_the_values_of_their_last_block() -> None:
    built = tower("vit_tiny_patch16_224")
    network: Any = built.network
    trunk, pictures = network.trunk, torch.randn(2, 3, 64, 64)
    cells_bhwd = spatial_features(built, pictures)
    assert cells_bhwd.shape == (2, 4, 4, 24)
    tokens = trunk._pos_embed(trunk.patch_embed(pictures))
    for block in trunk.blocks[:-1]:
        tokens = block(tokens)
    last, width = trunk.blocks[-1], tokens.shape[-1]
    values = last.attn.qkv(last.norm1(tokens))[..., 2 * width :]
    tokens = tokens + last.attn.proj(values)
    tokens = tokens + last.mlp(last.norm2(tokens))
    torch.testing.assert_close(cells_bhwd.flatten(1, 2), network.head(trunk.norm(tokens)[:, 1:]))


def test_a_tower_whose_cells_are_not_known_says_so() -> None:
    with pytest.raises(ValueError, match="where TimmModel sees what is not known"):
        spatial_features(tower("swin_tiny_patch4_window7_224", side_px=224), torch.randn(1, 3, 224, 224))
