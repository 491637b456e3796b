"""Where in a picture the visual tower sees what: one vector for each cell of its last grid, in the common space.

With convolutions, global average pooling and a linear head the mean of the cells is exactly the picture's vector, so
that a cell's inner product with a query is its share of the picture's score (class activation maps, Zhou et al. 2016).
Attention pooling is replaced by its value and output projections at each position, and so is the attention of the last
block of a transformer (MaskCLIP, Zhou et al. 2022, section 3.2).

Shapes: B pictures of H x W pixels, h x w cells, N tokens, C channels, D the width of the common space.
"""

from __future__ import annotations

from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn

from ophclip.models.towers import Tower


def takes_any_size(tower: Tower) -> bool:
    """Whether the tower looks at pictures of any height and width that are multiples of 32: it has no positions."""
    network = tower.network
    if isinstance(network, TimmModel):
        return _pools_by_mean(network) and not hasattr(network.trunk, "set_input_size")
    return isinstance(network, ModifiedResNet)


@torch.inference_mode()
def spatial_features(tower: Tower, frames_bchw: Tensor) -> Tensor:
    """Normalised float pictures [B, 3, H, W] -> vectors of their cells [B, h, w, D], not of unit length.

    The tower must be in evaluation. H and W are the tower's own unless `takes_any_size`.

    Raises:
        ValueError: cells of this kind of tower are not known.
    """
    network: Any = tower.network
    frames_bchw = frames_bchw.contiguous(memory_format=torch.channels_last)
    if isinstance(network, ModifiedResNet):
        return _of_attention_pool(network, frames_bchw)
    if isinstance(network, VisionTransformer) and network.attn_pool is None:
        return _of_transformer(network, frames_bchw)
    if isinstance(network, TimmModel) and _pools_by_mean(network):
        return _of_mean_pool(network, frames_bchw)
    if isinstance(network, TimmModel) and isinstance(network.trunk, TimmTransformer):
        return _of_timm_transformer(network, frames_bchw)
    raise ValueError(f"heat map: where {type(network).__name__} sees what is not known; search works without it")


def _pools_by_mean(network: TimmModel) -> bool:
    """Networks of timm's that end in a map [B, C, h, w] and its mean."""
    trunk: Any = network.trunk
    pool = getattr(trunk, "global_pool", None) or getattr(getattr(trunk, "head", None), "global_pool", None)
    return getattr(pool, "pool_type", None) == "avg" and getattr(trunk, "output_fmt", "NCHW") == "NCHW"


def _of_mean_pool(network: Any, frames_bchw: Tensor) -> Tensor:
    maps_bchw = network.trunk.forward_features(frames_bchw)
    batch, _, height, width = maps_bchw.shape
    cells_nc11 = maps_bchw.permute(0, 2, 3, 1).reshape(batch * height * width, -1, 1, 1)
    vectors_nd: Tensor = network.head(network.trunk.forward_head(cells_nc11))
    return vectors_nd.view(batch, height, width, -1)


def _of_attention_pool(network: Any, frames_bchw: Tensor) -> Tensor:
    maps_bchw = network.layer4(network.layer3(network.layer2(network.layer1(network.stem(frames_bchw)))))
    pool = network.attnpool
    vectors_bhwd: Tensor = pool.c_proj(pool.v_proj(maps_bchw.permute(0, 2, 3, 1)))
    return vectors_bhwd


def _of_transformer(network: Any, frames_bchw: Tensor) -> Tensor:
    tokens_bnc = network._embeds(frames_bchw)
    blocks, turned = network.transformer.resblocks, not network.transformer.batch_first
    for block in blocks[:-1]:
        tokens_bnc = block(tokens_bnc.transpose(0, 1)).transpose(0, 1) if turned else block(tokens_bnc)
    cells_bnc = network.ln_post(_alone(blocks[-1], tokens_bnc, turned=turned)[:, 1:])
    vectors_bnd: Tensor = cells_bnc if network.proj is None else cells_bnc @ network.proj
    return _as_grid(vectors_bnd, network.grid_size)


def _of_timm_transformer(network: Any, frames_bchw: Tensor) -> Tensor:
    trunk = network.trunk
    tokens_bnc = trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(frames_bchw)))
    for block in trunk.blocks[:-1]:
        tokens_bnc = block(tokens_bnc)
    cells_bnc = trunk.norm(_alone(trunk.blocks[-1], tokens_bnc))[:, trunk.num_prefix_tokens :]
    if trunk.attn_pool is not None:
        cells_bnc = _alone(trunk.attn_pool, cells_bnc)
    vectors_bnd: Tensor = network.head(trunk.head(trunk.fc_norm(cells_bnc)))
    return _as_grid(vectors_bnd, trunk.patch_embed.grid_size)


def _alone(block: nn.Module, tokens_bnc: Tensor, *, turned: bool = False) -> Tensor:
    """What a block makes of tokens that attend to nothing but themselves: their values, and all that follows."""
    batch, number, width = tokens_bnc.shape
    alone_nlc = tokens_bnc.reshape(batch * number, 1, width)
    seen: Tensor = block(alone_nlc.transpose(0, 1) if turned else alone_nlc)
    return seen.reshape(batch, number, -1)


def _as_grid(vectors_bnd: Tensor, grid: tuple[int, int]) -> Tensor:
    return vectors_bnd.reshape(len(vectors_bnd), grid[0], grid[1], -1)
