"""Weights as they are released: whole, into the architecture that they belong to, and never by running a file.

Nothing released is here: the files are random tensors in the published form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import safetensors.torch
import torch
import torchvision
from published_folders import write_bert, write_siglip_tokenizer
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from ingest.tensors import read_tensors
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.data.tokenizer import build_tokenizer
from ophclip.model_options import ModelConfig, TextConfig, TextPooling, TowerKind, VisualConfig
from ophclip.models import architectures
from ophclip.models.dual_encoder import build_model
from ophclip.models.towers import build_text_tower, build_visual_tower

SMALL_VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
SMALL_TEXT = {"context_length": 8, "vocab_size": 60, "width": 32, "heads": 2, "layers": 2}
SIGLIP_VISION = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "map", "timm_proj": "none", "image_size": 32}
SIGLIP_TEXT = {
    **{**SMALL_TEXT, "vocab_size": 64, "heads": 2, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP"},
    **{"tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    "norm_kwargs": {"eps": 1e-6},
}


@pytest.fixture(autouse=True)
def _small_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    clip: dict[str, Any] = {"embed_dim": 16, "vision_cfg": SMALL_VISION, "text_cfg": SMALL_TEXT}
    own = {
        "small": clip,
        "small-quickgelu": {**clip, "quick_gelu": True},
        "small-surgvlp": {
            **architectures.SURGVLP,
            "vision_cfg": {**architectures.SURGVLP["vision_cfg"], "timm_model_name": "resnet26"},
        },
        "small-siglip": {"embed_dim": 192, "vision_cfg": SIGLIP_VISION, "text_cfg": SIGLIP_TEXT},
    }
    for name, described in own.items():
        monkeypatch.setitem(architectures.OWN, name, described)


def released(**changes: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = open_clip.CLIP(embed_dim=16, vision_cfg=SMALL_VISION, text_cfg=SMALL_TEXT, **changes)
    return model.eval()


def pair(weights: Path, name: str = "small", **visual: Any) -> ModelConfig:
    return ModelConfig(
        name="pair",
        embed_dim=16,
        visual=VisualConfig(name=name, image_size_px=32, weights=str(weights), **visual),
        text=TextConfig(name=name, weights=str(weights), context_length=8),
    )


def pictures() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def ids() -> Tensor:
    return torch.tensor([[58, 3, 4, 59, 0, 0, 0, 0], [58, 7, 9, 9, 2, 59, 0, 0]])


def same(config: ModelConfig, peer: Any) -> None:
    model = build_model(config).eval()
    torch.testing.assert_close(model.visual(pictures()), peer.encode_image(pictures()), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.text(ids()), peer.encode_text(ids()), atol=1e-5, rtol=1e-5)


def write_hub_folder(folder: Path, tensors: dict[str, Tensor], **model: Any) -> Path:
    folder.mkdir()
    described = {"embed_dim": 16, "vision_cfg": SMALL_VISION, "text_cfg": SMALL_TEXT, **model}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": described}))
    safetensors.torch.save_file(tensors, folder / "open_clip_model.safetensors")
    return folder


def test_open_clips_checkpoints_load_from_every_form(tmp_path: Path) -> None:
    peer = released()
    tensors = peer.state_dict()
    wrapped = {"epoch": 3, "name": "run", "state_dict": {f"module.{name}": value for name, value in tensors.items()}}
    torch.save(wrapped, tmp_path / "epoch_3.pt")
    torch.save(tensors, tmp_path / "plain.bin")
    safetensors.torch.save_file(tensors, tmp_path / "plain.safetensors")
    for place in (*tmp_path.iterdir(), write_hub_folder(tmp_path / "folder", tensors)):
        same(pair(place), peer)


def test_openais_weights_want_their_activation(tmp_path: Path) -> None:
    peer = released(quick_gelu=True)
    tensors = {**peer.state_dict(), "input_resolution": torch.tensor(32), "context_length": torch.tensor(8)}
    torch.save(tensors | {"vocab_size": torch.tensor(60)}, tmp_path / "ViT.pt")
    same(pair(tmp_path / "ViT.pt", "small-quickgelu"), peer)
    folder = write_hub_folder(tmp_path / "quick", peer.state_dict(), quick_gelu=True)
    same(pair(folder, "small-quickgelu"), peer)
    plain = write_hub_folder(tmp_path / "plain", released().state_dict())
    wrong = {
        (tmp_path / "ViT.pt", "small"): "trained with QuickGELU; check model.*name: an architecture whose name ends in",
        (folder, "small"): "trained with QuickGELU; check",
        (plain, "small-quickgelu"): "trained with GELU; check model.*name: one without -quickgelu",
    }
    for (place, name), words in wrong.items():
        for build, config in (
            (build_visual_tower, pair(place, name).visual),
            (build_text_tower, pair(place, name).text),
        ):
            with pytest.raises(ValueError, match=words) as caught:
                build(config, 16)  # type: ignore[operator]
            assert "\n" not in str(caught.value)


# OpenAI's files are in a form that torch itself has given up.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_would_have_to_be_run_is_not_read(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "jit.pt")
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.touch, (ran,)  # type: ignore[return-value]

    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pt")
    for name, words in {"jit.pt": "a TorchScript archive, which can only be", "bomb.pt": "cannot be read as"}.items():
        with pytest.raises(ValueError, match=words) as caught:
            read_tensors(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not ran.exists()


def test_the_first_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    tensors = released().state_dict()
    narrow = {"visual.conv1.weight": tensors["visual.conv1.weight"][:16].clone()}
    cases = {
        "lacks ln_post.weight": {name: one for name, one in tensors.items() if name != "visual.ln_post.weight"},
        r"has adapter, which the tower has not": {**tensors, "visual.adapter": torch.zeros(2)},
        r"conv1\.weight has shape \(16, 3, 8, 8\), expected \(32, 3, 8, 8\); check": {**tensors, **narrow},
    }
    for words, changed in cases.items():
        safetensors.torch.save_file(changed, tmp_path / "changed.safetensors")
        with pytest.raises(ValueError, match=words) as caught:
            build_visual_tower(pair(tmp_path / "changed.safetensors").visual, 16)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no weights in this folder; expected one of open_clip_model\.safetensors, "):
        build_visual_tower(pair(tmp_path / "empty").visual, 16)


def test_siglip_loads_from_the_folder_of_its_release(tmp_path: Path) -> None:
    torch.manual_seed(0)
    text = {name: value for name, value in SIGLIP_TEXT.items() if not name.startswith(("hf_", "tokenizer"))}
    peer = open_clip.CustomTextCLIP(192, SIGLIP_VISION, text, init_logit_bias=-10.0).eval()
    peer.visual.set_input_size(32)
    folder = write_siglip_tokenizer(tmp_path / "siglip")
    safetensors.torch.save_file(peer.state_dict(), folder / "open_clip_model.safetensors")
    config = ModelConfig(
        name="siglip",
        embed_dim=192,
        visual=VisualConfig(name="small-siglip", image_size_px=32, weights=str(folder)),
        text=TextConfig(name="small-siglip", weights=str(folder), tokenizer=str(folder), context_length=8),
    )
    model = build_model(config).eval()
    torch.testing.assert_close(model.visual(pictures()), peer.encode_image(pictures()))
    torch.testing.assert_close(model.text(ids()), peer.encode_text(ids()))
    config.visual.image_size_px = 48
    assert build_model(config).visual(torch.randn(1, 3, 48, 48)).shape == (1, 192)
    config.text.tokenizer = ""
    with pytest.raises(ValueError, match=r"^model\.text\.tokenizer: small-siglip does not use CLIP's tokens; give"):
        build_model(config)


class Ancestor(nn.Module):
    """SurgVLP's model by its published names: a ResNet (here of 26 layers) with a layer on its means, and a BERT."""

    def __init__(self, bert_folder: Path) -> None:
        super().__init__()
        from transformers import BertModel

        self.backbone_img, self.backbone_text = nn.Module(), nn.Module()
        self.backbone_img.model = ResNet(Bottleneck, [2, 2, 2, 2])
        self.backbone_img.model.fc = nn.Identity()
        self.backbone_img.global_embedder = nn.Linear(2048, 32)
        self.backbone_text.model = BertModel.from_pretrained(bert_folder)

    def picture(self, frames_bchw: Tensor) -> Tensor:
        return self.backbone_img.global_embedder(self.backbone_img.model(frames_bchw))

    def sentence(self, token_ids: Tensor, padded_to: int) -> Tensor:
        """Pieces are summed to words, words averaged over all places that padding leaves, layers summed."""
        layers = self.backbone_text.model(input_ids=token_ids[None], output_hidden_states=True).hidden_states[-4:]
        return sum(states[0].sum(dim=0) / padded_to for states in layers)


def mark(tensor: Tensor) -> float:
    """A number that tells tensors apart."""
    return float(tensor.contiguous().double().sum())


def test_an_ancestors_checkpoint_fills_both_towers_and_gives_its_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = write_bert(tmp_path / "bert", layers=5)
    peer = Ancestor(folder).eval()
    with torch.no_grad():
        for parameter in peer.parameters():
            # Zeros and ones are alike in every layer: one that was left out or exchanged would not show.
            parameter.add_(0.02 * torch.randn_like(parameter))
    tensors = {f"module.{name}": value for name, value in peer.state_dict().items()}
    tensors["module.backbone_text.model.embeddings.position_ids"] = torch.arange(40)[None]
    torch.save(tensors, tmp_path / "peskavlp.pth")
    config = ModelConfig(
        name="surgvlp",
        embed_dim=32,
        visual=VisualConfig(name="small-surgvlp", image_size_px=64, weights=str(tmp_path / "peskavlp.pth")),
        text=TextConfig(
            kind=TowerKind.HF,
            name=str(folder),
            weights=str(tmp_path / "peskavlp.pth"),
            context_length=16,
            pooling=TextPooling.LAST_FOUR,
        ),
    )
    model = build_model(config).eval()
    frames = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.visual(frames), peer.picture(frames), atol=1e-5, rtol=1e-4)
        tokens = build_tokenizer(config.text)(["lens", "the iris and lens"])
        found_bd = model.encode_text(tokens, normalise=True)
        for place, length in enumerate(tokens.mask_bl.sum(dim=1).tolist()):
            expected_d = nn.functional.normalize(peer.sentence(tokens.ids_bl[place, :length], padded_to=16), dim=0)
            torch.testing.assert_close(found_bd[place], expected_d, atol=1e-5, rtol=1e-4)
    # Every tensor of the file is in the model, but for the parts of BERT that no sentence vector depends on.
    held = {mark(value) for value in model.state_dict().values()}
    lost = {name for name, value in tensors.items() if mark(value) not in held}
    bert = "module.backbone_text.model."
    unused = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")
    assert lost == {f"{bert}{name}" for name in unused}
    plain = VisualConfig(kind=TowerKind.TIMM, name="resnet26", weights=config.visual.weights)
    with pytest.raises(ValueError, match=r"has head\.proj\.bias, which the tower has not\); check model"):
        build_visual_tower(plain, 32)


def test_the_ancestors_tower_has_the_names_and_shapes_of_torchvisions() -> None:
    config = compose("train", ["model=surgvlp", "data.root=x"], TrainConfig).model
    with torch.device("meta"):
        ours = build_visual_tower(config.visual, config.embed_dim).network.state_dict()
        peer = torchvision.models.resnet50(weights=None)
    theirs = {f"trunk.{name}": value.shape for name, value in peer.state_dict().items() if not name.startswith("fc.")}
    layer = {"head.proj.weight": torch.Size([768, 2048]), "head.proj.bias": torch.Size([768])}
    assert {name: value.shape for name, value in ours.items()} == theirs | layer
