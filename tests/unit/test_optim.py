from __future__ import annotations

import itertools
import re

import pytest
import torch
from torch import nn

from ophclip.config import OptimConfig
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, TowerKind, VisualConfig
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.towers import build_visual_tower
from ophclip.training.optim import build_optimizer, rate_factor, set_rate


def test_rate_rises_then_falls_to_zero() -> None:
    factors = [rate_factor(step, steps=20, warmup_steps=4) for step in range(20)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[4:]))
    assert factors[12] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.02
    assert rate_factor(0, steps=3, warmup_steps=0) == 1.0
    assert rate_factor(2, steps=3, warmup_steps=9) == pytest.approx(1 / 3)


def test_vectors_do_not_decay_frozen_are_left_out_and_loaded_text_is_slower() -> None:
    module = nn.ModuleDict({"new": nn.Linear(3, 3), "loaded": nn.Linear(3, 3), "frozen": nn.Linear(3, 3)})
    module["frozen"].requires_grad_(False)
    config = OptimConfig(learning_rate=0.1, text_learning_rate_factor=0.5, weight_decay=0.2)
    optimizer = build_optimizer(module, config, slower=module["loaded"].parameters())
    set_rate(optimizer, config.learning_rate, 0.5)
    found = {
        id(parameter): (group["weight_decay"], group["lr"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {
        id(module["new"].weight): (0.2, 0.05),
        id(module["new"].bias): (0.0, 0.05),
        id(module["loaded"].weight): (0.2, 0.025),
        id(module["loaded"].bias): (0.0, 0.025),
    }
    still = build_optimizer(module, OptimConfig(text_learning_rate_factor=0.0), slower=module["loaded"].parameters())
    assert sum(len(group["params"]) for group in still.param_groups) == 2
    assert isinstance(still, torch.optim.AdamW)


def _tiny() -> DualEncoder:
    return build_model(
        ModelConfig(
            name="tiny",
            embed_dim=32,
            visual=VisualConfig(name="tiny", image_size_px=32, frozen_blocks=1),
            text=TextConfig(name="tiny", context_length=8),
            pooling=FramePooling.ATTENTION,
        )
    )


def test_deeper_blocks_learn_slower_and_the_top_at_the_full_rate() -> None:
    model = _tiny()
    config = OptimConfig(learning_rate=1.0, layer_decay=0.5, text_learning_rate_factor=0.1)
    optimizer = build_optimizer(model, config, model.text.loaded_parameters(), (model.visual, model.text))
    set_rate(optimizer, 1.0, 1.0)
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    found = {name: rates.get(id(parameter)) for name, parameter in model.named_parameters()}
    assert found.pop("log_logit_scale") == found.pop("pooling.query_d") == 1.0
    for name, rate in found.items():
        tower, _, place = name.partition(".network.")
        blocks, factor = (4, 1.0) if tower == "visual" else (2, 0.1)
        block = re.search(r"resblocks\.(\d)\.", place)
        if tower == "visual" and (name.startswith("visual.network.transformer.resblocks.0.") or _in_stem(place)):
            assert rate is None, name
        elif block or _in_stem(place):
            assert rate == pytest.approx(factor * 0.5 ** (blocks - (int(block[1]) if block else 0))), name
        else:
            assert rate == pytest.approx(1.0 if place in ("proj", "text_projection") else factor), name


def _in_stem(place: str) -> bool:
    return place.startswith(("conv1", "class_embedding", "positional_embedding", "ln_pre", "token_embedding"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TowerKind.OPEN_CLIP, "tiny"),
        (TowerKind.OPEN_CLIP, "RN50"),
        (TowerKind.OPEN_CLIP, "ViT-B-16-SigLIP"),
        (TowerKind.TIMM, "vit_tiny_patch16_224"),
    ],
)
def test_positions_and_class_tokens_do_not_decay(kind: TowerKind, name: str) -> None:
    with torch.device("meta"):
        tower = build_visual_tower(VisualConfig(kind=kind, name=name, image_size_px=64), 768)
    optimizer = build_optimizer(tower, OptimConfig(weight_decay=0.2))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    spared = {name for name, p in tower.named_parameters() if decays[id(p)] == 0 and p.ndim > 1}
    positions = {
        "tiny": {"network.positional_embedding"},
        "RN50": {"network.attnpool.positional_embedding"},
        "ViT-B-16-SigLIP": {"network.trunk.pos_embed"},
        "vit_tiny_patch16_224": {"network.trunk.pos_embed", "network.trunk.cls_token"},
    }
    assert spared == positions[name]
    assert all(decays[id(p)] == 0 for p in tower.parameters() if p.ndim < 2)


def test_the_fused_optimiser_steps_as_the_plain_one_and_lets_lightning_clip() -> None:
    torch.manual_seed(0)
    made = [nn.Linear(4, 4) for _ in "ab"]
    made[1].load_state_dict(made[0].state_dict())
    config = OptimConfig(learning_rate=0.1, weight_decay=0.2)
    fused = build_optimizer(made[0], config)
    groups = [{"params": [made[1].weight], "weight_decay": 0.2}, {"params": [made[1].bias], "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=0.1)
    for _ in range(3):
        for module, optimizer in zip(made, (fused, plain), strict=True):
            optimizer.zero_grad()
            module(torch.ones(2, 4)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(made[0].state_dict(), made[1].state_dict())
    assert fused.defaults["fused"]
    from lightning.pytorch.plugins.precision.amp import MixedPrecision

    MixedPrecision("bf16-mixed", "cpu").clip_gradients(fused, 1e-3)
    assert made[0].weight.grad is not None
    assert float(torch.cat([p.grad.flatten() for p in made[0].parameters()]).norm()) == pytest.approx(1e-3, rel=1e-3)
