"""Frames encoded apart and pooled later give what the model gives for the clip, whatever the pooling."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ophclip.model_options import FramePooling, ModelConfig, TextConfig, VisualConfig
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.embed import embed_frames, pool_spans
from ophclip.models.pooling import AttentionPooling, TemporalTransformerPooling
from ophclip.models.preprocess import build_preprocess

CONFIG = ModelConfig(
    name="tiny",
    embed_dim=32,
    visual=VisualConfig(name="tiny", image_size_px=32),
    text=TextConfig(name="tiny", context_length=8),
)


def trained(pooling: FramePooling) -> DualEncoder:
    """A model whose pooling has left its beginning."""
    torch.manual_seed(0)
    model = build_model(dataclasses.replace(CONFIG, pooling=pooling)).eval()
    with torch.no_grad():
        for parameter in model.pooling.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("pooling", list(FramePooling))
def test_spans_of_frames_encoded_apart_equal_encode_video(
    pooling: FramePooling, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, preprocess = trained(pooling), build_preprocess(CONFIG.visual)
    pictures = np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), dtype=np.uint8)
    vectors_td = embed_frames(model, preprocess, pictures)
    spans = [(0, 9), (0, 1), (2, 6), (3, 7), (8, 9), (1, 4), (5, 9)]
    monkeypatch.setattr("ophclip.models.embed._VECTORS_POOLED_AT_ONCE", 5)
    pooled_wd = pool_spans(model.train(), vectors_td, spans)
    assert model.training
    model.eval()
    for (first, stop), found_d in zip(spans, pooled_wd, strict=True):
        with torch.no_grad():
            expected_bd = model.encode_video(preprocess(pictures[first:stop])[None], normalise=True)
        np.testing.assert_allclose(found_d, expected_bd[0].numpy(), atol=2e-6)


def test_attention_pooling_equals_a_loop() -> None:
    torch.manual_seed(0)
    pooling, vectors_btd = AttentionPooling(6), F.normalize(torch.randn(3, 5, 6), dim=-1)
    torch.nn.init.normal_(pooling.query_d, std=3.0)
    for found_d, frames_td in zip(pooling(vectors_btd), vectors_btd, strict=True):
        answers = [math.exp((frame_d @ pooling.query_d).item()) for frame_d in frames_td]
        expected_d = sum(weight / sum(answers) * frame_d for weight, frame_d in zip(answers, frames_td, strict=True))
        torch.testing.assert_close(found_d, expected_d)


def _attended(x_td: Tensor, layer: torch.nn.TransformerEncoderLayer) -> Tensor:
    """Attention of every frame to every other, one head at a time."""
    heads, width = layer.self_attn.num_heads, x_td.shape[1] // layer.self_attn.num_heads
    query, key, value = F.linear(x_td, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).chunk(3, dim=1)
    parts = []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        weights_tt = (query[:, own] @ key[:, own].T / math.sqrt(width)).softmax(dim=1)
        parts.append(weights_tt @ value[:, own])
    return layer.self_attn.out_proj(torch.cat(parts, dim=1))


@pytest.mark.parametrize("dim", [128, 30, 7])
def test_the_temporal_transformer_equals_its_layer_written_out(dim: int) -> None:
    torch.manual_seed(0)
    pooling, frames = TemporalTransformerPooling(dim), 4
    torch.nn.init.normal_(pooling.added.weight)
    vectors_td = F.normalize(torch.randn(frames, dim), dim=-1)
    pairs = math.ceil(dim / 2)
    places_td = torch.zeros(frames, dim)
    for frame in range(frames):
        for channel in range(dim):
            turns = math.pi * 64 ** ((channel % pairs) / (pairs - 1))
            wave = math.sin if channel < pairs else math.cos
            places_td[frame, channel] = wave(turns * frame / (frames - 1)) / math.sqrt(pairs)
    x_td, layer = vectors_td + places_td, pooling.layer
    x_td = x_td + _attended(layer.norm1(x_td), layer)
    x_td = x_td + layer.linear2(F.gelu(layer.linear1(layer.norm2(x_td))))
    expected_d = (vectors_td + pooling.added(x_td)).mean(dim=0)
    torch.testing.assert_close(pooling(vectors_td[None])[0], expected_d, atol=1e-5, rtol=1e-4)
    pooling.eval()
    with torch.inference_mode():
        torch.testing.assert_close(pooling(vectors_td[None])[0], expected_d, atol=1e-5, rtol=1e-4)
