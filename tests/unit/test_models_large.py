"""Every shipped pair is built; what trains large towers faster or in less memory changes nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.model_options import TowerKind, VisualConfig
from ophclip.models import architectures
from ophclip.models.dual_encoder import build_model
from ophclip.models.recomputing import RecomputedStage
from ophclip.models.towers import Tower, build_visual_tower

LITE = "tf_efficientnet_lite0"
SMALL: dict[str, dict[str, Any]] = {
    "small-vit": {"patch_size": 8, "width": 32, "layers": 3, "head_width": 16},
    "small-resnet": {"layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "small-timm-vit": {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "map", "timm_proj": "none"},
}


@pytest.fixture(autouse=True)
def _small_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vision in SMALL.items():
        described = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": {}}
        monkeypatch.setitem(architectures.OWN, name, described)


def tower(name: str, embed_dim: int = 16, **options: object) -> Tower:
    torch.manual_seed(0)
    config = VisualConfig(name=name, image_size_px=32, **options)  # type: ignore[arg-type]
    return build_visual_tower(config, embed_dim)


def pictures(count: int = 3, side_px: int = 32) -> torch.Tensor:
    return torch.randn(count, 3, side_px, side_px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "millions", "visual_blocks", "text_blocks"),
    [("vit_b_16", 149.6, 12, 12), ("vit_l_14", 427.6, 24, 12), ("siglip", 203.2, 13, 12)],
)
def test_large_pairs_are_built(name: str, millions: float, visual_blocks: int, text_blocks: int) -> None:
    config = compose("train", [f"model={name}", "data.root=x"], TrainConfig).model
    with torch.device("meta"):
        model = build_model(config)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    assert (len(model.visual.blocks()), len(model.text.blocks())) == (visual_blocks, text_blocks)
    assert all(block for part in (model.visual, model.text) for block in part.blocks())


def test_a_tower_of_siglips_kind_takes_any_size_and_says_its_width() -> None:
    for side_px in (32, 64):
        config = VisualConfig(name="small-timm-vit", image_size_px=side_px)
        assert build_visual_tower(config, 192)(pictures(2, side_px)).shape == (2, 192)
    with pytest.raises(ValueError, match=r"^model\.embed_dim: 16 given, .* has no projection and gives 192$"):
        tower("small-timm-vit")


@pytest.mark.parametrize(("name", "embed_dim"), [("small-vit", 16), ("small-timm-vit", 192)])
def test_patches_are_left_out_while_training_only_and_by_the_seed(name: str, embed_dim: int) -> None:
    whole, dropping = tower(name, embed_dim).eval(), tower(name, embed_dim, patch_dropout=0.5).eval()
    assert torch.equal(whole(pictures()), dropping(pictures()))
    dropping.train()
    torch.manual_seed(5)
    first = dropping(pictures())
    torch.manual_seed(5)
    assert torch.equal(first, dropping(pictures()))
    torch.manual_seed(6)
    assert not torch.allclose(first, dropping(pictures()))
    assert not torch.allclose(first, whole(pictures()))


@pytest.mark.parametrize(
    "config", [VisualConfig(name="small-resnet"), VisualConfig(kind=TowerKind.TIMM, name=LITE)], ids=["clip", "timm"]
)
def test_what_has_no_patches_refuses_to_leave_some_out(config: VisualConfig) -> None:
    config.image_size_px, config.patch_dropout = 32, 0.5
    with pytest.raises(
        ValueError, match=r"^model\.visual\.patch_dropout: .* has no patches to leave out; set it to 0$"
    ):
        build_visual_tower(config, 16)


def gradients(built: Tower) -> dict[str, torch.Tensor]:
    built.zero_grad()
    (built(pictures()) * torch.arange(16.0)).square().sum().backward()
    return {name: p.grad.clone() for name, p in built.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "options",
    [
        {"name": "small-vit"},
        {"name": "small-resnet"},
        {"name": "small-resnet", "frozen_blocks": 1, "frozen_batch_norm": True},
        {"name": LITE, "kind": TowerKind.TIMM, "frozen_batch_norm": True},
    ],
)
def test_recomputed_activations_give_the_same_gradients_and_statistics(options: dict[str, Any]) -> None:
    kept = tower(**options).train()
    recomputed = tower(**options, gradient_checkpointing=True)
    recomputed.load_state_dict(kept.state_dict(), strict=True)
    recomputed = copy.deepcopy(recomputed).train()
    for _ in range(2):
        expected, found = gradients(kept), gradients(recomputed)
        assert expected.keys() == found.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, msg=name)
    for (name, one), other in zip(kept.state_dict().items(), recomputed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_less_is_kept_for_the_backward_pass() -> None:
    held: dict[bool, int] = {}
    for recomputed in (False, True):
        built, sizes = tower("small-resnet", gradient_checkpointing=recomputed).train(), []
        with torch.autograd.graph.saved_tensors_hooks(lambda one, sizes=sizes: (sizes.append(one.numel()), one)[1], id):
            built(pictures())
        held[recomputed] = sum(sizes)
        assert sum(isinstance(module, RecomputedStage) for module in built.modules()) == 4 * recomputed
    assert held[True] < 0.7 * held[False]


def test_batch_norms_that_would_count_twice_are_refused() -> None:
    with pytest.raises(ValueError, match=r"would count every batch twice; set model\.visual\.frozen_batch_norm=true"):
        tower(LITE, kind=TowerKind.TIMM, gradient_checkpointing=True)
