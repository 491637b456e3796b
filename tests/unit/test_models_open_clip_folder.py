"""Our folders in open_clip's hands and open_clip's in ours: the same vectors from both."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from published_folders import write_bert, write_siglip_tokenizer

import ophclip
from ophclip.data import hub
from ophclip.data.tokenizer import build_tokenizer
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, TextPooling, TowerKind, VisualConfig
from ophclip.models import architectures
from ophclip.models.bundle import load_bundle, save_bundle
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.open_clip_folder import described_for_open_clip

TEXTS = ["The phaco handpiece removes a nucleus.", "lens"]
LITE = "tf_efficientnet_lite0"
VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
SIGLIP_TEXT: dict[str, Any] = {
    **{**TEXT, "vocab_size": 64, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP"},
    **{"tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
}


@pytest.fixture(autouse=True)
def _small_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        "small": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT},
        "small-quickgelu": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True},
        "small-siglip": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": SIGLIP_TEXT},
    }
    for name, described in own.items():
        monkeypatch.setitem(architectures.OWN, name, described)
    known = {**open_clip.factory._MODEL_CONFIGS, "small-siglip": own["small-siglip"]}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", known)


def pair(name: str, text: TextConfig | None = None, **visual: Any) -> ModelConfig:
    return ModelConfig(
        name="pair",
        embed_dim=16,
        visual=VisualConfig(**{"name": name, "image_size_px": 32, "mean": (0.5, 0.4, 0.3), **visual}),
        text=text or TextConfig(name=name, context_length=12),
    )


def siglip_text(folder: Path) -> TextConfig:
    return TextConfig(name="small-siglip", tokenizer=str(write_siglip_tokenizer(folder)), context_length=12)


def pictures() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def built(config: ModelConfig) -> DualEncoder:
    torch.manual_seed(0)
    return build_model(config).eval()


def opened_by_open_clip(folder: Path) -> tuple[Any, Any]:
    peer, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    assert list(preprocess.transforms[-1].mean) == [0.5, 0.4, 0.3]
    return peer.eval(), open_clip.get_tokenizer(f"local-dir:{folder}")


@pytest.mark.parametrize("kind", ["clip", "quickgelu", "timm", "siglip"])
def test_open_clip_opens_a_bundle_and_sees_the_same(tmp_path: Path, kind: str) -> None:
    config = {
        "clip": lambda: pair("small"),
        "quickgelu": lambda: pair("small-quickgelu"),
        "timm": lambda: pair(LITE, TextConfig(name="small", context_length=12), kind=TowerKind.TIMM),
        "siglip": lambda: pair("small", siglip_text(tmp_path / "tokenizer")),
    }[kind]()
    model = built(config)
    save_bundle(tmp_path / "bundle", model, config, {})
    peer, tokenizer = opened_by_open_clip(tmp_path / "bundle")
    tokens = build_tokenizer(config.text)(TEXTS)
    torch.testing.assert_close(tokenizer(TEXTS), tokens.ids_bl)
    torch.testing.assert_close(peer.encode_image(pictures()), model.encode_frames(pictures()), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(peer.encode_text(tokens.ids_bl), model.encode_text(tokens), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(peer.logit_scale.exp(), model.logit_scale)
    # With nothing in it that says it is ours, it is read as one of open_clip's folders.
    described = json.loads((tmp_path / "bundle" / "open_clip_config.json").read_text())
    assert described.pop("made_by") == "ophclip"
    (tmp_path / "bundle" / "open_clip_config.json").write_text(json.dumps(described))
    again, preprocess, tokenizer = ophclip.load(tmp_path / "bundle")
    assert (preprocess.image_size_px, preprocess.mean) == (32, (0.5, 0.4, 0.3))
    torch.testing.assert_close(again.encode_image(pictures()), model.encode_frames(pictures()))
    torch.testing.assert_close(again.encode_text(tokenizer(TEXTS)), model.encode_text(tokens))
    torch.testing.assert_close(again.logit_scale.exp(), model.logit_scale)


def test_a_folder_of_open_clips_own_is_opened(tmp_path: Path) -> None:
    """As on the hub: the older form of names, a text tower under none of its own, a scale with one place."""
    torch.manual_seed(0)
    peer = open_clip.CLIP(16, VISION, TEXT, nonscalar_logit_scale=True, init_logit_bias=-10.0).eval()
    described = {"model_cfg": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}}
    folder = tmp_path / "CLIP-small"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    safetensors.torch.save_file(peer.state_dict(), folder / "open_clip_model.safetensors")
    loaded = load_bundle(folder)
    assert (loaded.config.name, loaded.config.visual.name, loaded.config.text.name) == ("CLIP-small", "small", "small")
    assert loaded.preprocess.mean == open_clip.OPENAI_DATASET_MEAN
    tokens = loaded.tokenizer(TEXTS)
    torch.testing.assert_close(loaded.model.encode_frames(pictures()), peer.encode_image(pictures()))
    torch.testing.assert_close(loaded.model.encode_text(tokens), peer.encode_text(tokens.ids_bl))
    assert loaded.model.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-5)
    # Saved as a bundle and moved, it is the same again, and open_clip still opens it.
    digest = save_bundle(tmp_path / "bundle", loaded.model, loaded.config, {})
    assert load_bundle(tmp_path / "bundle").weights_sha256 == digest
    torch.testing.assert_close(
        open_clip.create_model(f"local-dir:{tmp_path / 'bundle'}").eval().encode_image(pictures()),
        peer.encode_image(pictures()),
        atol=1e-5,
        rtol=1e-5,
    )


def test_what_open_clip_could_not_build_is_not_described_for_it(tmp_path: Path) -> None:
    bert = str(write_bert(tmp_path / "bert"))
    text = TextConfig(kind=TowerKind.HF, name=bert, context_length=12)
    refused = {
        "pooling": dataclasses.replace(pair("small"), pooling=FramePooling.ATTENTION),
        "local text tower": pair("small", text),
        "last four": pair("small", dataclasses.replace(text, name="owner/bert", pooling=TextPooling.LAST_FOUR)),
        "two activations": pair("small", TextConfig(name="small-quickgelu", context_length=12)),
    }
    assert [
        name for name, config in refused.items() if described_for_open_clip(config, sigmoid=False) is not None
    ] == []
    config = refused["local text tower"]
    save_bundle(tmp_path / "bundle", built(config), config, {})
    assert not (tmp_path / "bundle" / "open_clip_config.json").exists()
    assert "local-dir:" not in (tmp_path / "bundle" / "README.md").read_text()


def put_into_cache(cache: Path, owner_and_name: str, folder: Path) -> None:
    place = cache / f"models--{owner_and_name.replace('/', '--')}"
    (place / "snapshots").mkdir(parents=True)
    folder.rename(place / "snapshots" / "abc")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")


def test_a_hub_name_in_the_cache_is_a_text_tower_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_into_cache(tmp_path / "cache", "owner/bert", write_bert(tmp_path / "bert"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = TextConfig(kind=TowerKind.HF, name="owner/bert", weights="pretrained", context_length=12)
    config = pair("small", text)
    model = built(config)
    save_bundle(tmp_path / "bundle", model, config, {})
    assert "| text tower | owner/bert (hf), 12 tokens |" in (tmp_path / "bundle" / "README.md").read_text()
    described = json.loads((tmp_path / "bundle" / "open_clip_config.json").read_text())
    assert described["model_cfg"]["text_cfg"]["hf_model_name"] == "owner/bert"
    where = (tmp_path / "cache" / "models--owner--bert" / "snapshots" / "abc").as_posix()
    described["model_cfg"]["text_cfg"]["hf_model_name"] = where
    (tmp_path / "bundle" / "open_clip_config.json").write_text(json.dumps(described))
    peer, _ = opened_by_open_clip(tmp_path / "bundle")
    tokens = build_tokenizer(text)(TEXTS)
    torch.testing.assert_close(peer.encode_text(tokens.ids_bl), model.encode_text(tokens), atol=1e-5, rtol=1e-5)
    _, _, tokenizer = ophclip.load(tmp_path / "bundle")
    torch.testing.assert_close(tokenizer(TEXTS).ids_bl, tokens.ids_bl)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vision_cfg": {**VISION, "layers": 7}}, "its vision_cfg is that of no architecture known here"),
        ({"text_cfg": {**TEXT, "width": 8}}, "its text_cfg is that of no architecture known here"),
        ({"text_cfg": {"hf_model_name": "a/b", "hf_proj_type": "mlp"}}, "another projection or pooler"),
        ({"vision_cfg": {**VISION, "unheard": 1}}, "not as open_clip writes it"),
        ({"vision_cfg": {**VISION, "image_size": [32, 64]}}, "only square ones are known"),
    ],
)
def test_other_folders_are_refused_in_one_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    model = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT, **change}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    with pytest.raises(ValueError, match=words) as caught:
        ophclip.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert "open_clip_config.json" in str(caught.value)


def test_every_architecture_of_open_clip_is_told_by_its_description() -> None:
    from ophclip.models.open_clip_folder import _config

    for name in ("RN50", "RN50-quickgelu", "ViT-B-16", "ViT-L-14", "ViT-B-16-SigLIP", "convnext_base"):
        described = open_clip.get_model_config(name)
        config = _config(described, {}, Path("folder"))
        one = open_clip.get_model_config(config.visual.name)
        assert one["vision_cfg"] == described["vision_cfg"]
        assert open_clip.get_model_config(config.text.name)["text_cfg"] == described["text_cfg"]
        assert one.get("quick_gelu", False) == described.get("quick_gelu", False)


def test_nothing_is_fetched_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    config = pair("small")
    save_bundle(tmp_path / "remote", built(config), config, {})

    def snapshot(name: str, **options: Any) -> str:
        from huggingface_hub.errors import LocalEntryNotFoundError

        if options.get("local_files_only"):
            raise LocalEntryNotFoundError("not here")
        asked.append({"name": name, **options})
        return str(tmp_path / "remote")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_given, **_options: None)
    with pytest.raises(ValueError, match=r"^owner/name: no such folder; .* a hub name needs download$"):
        ophclip.load("owner/name")
    assert asked == []
    model, _, _ = ophclip.load("owner/name", download=True)
    assert np.isfinite(model.logit_scale.item())
    (call,) = asked
    assert call["name"] == "owner/name"
    assert not [pattern for pattern in call["allow_patterns"] if pattern.endswith((".bin", ".pt", ".pth"))]
    hub.fetch_missing(["owner/other", str(tmp_path), "package:a/b", "/no/such/place"])
    assert [call["name"] for call in asked] == ["owner/name", "owner/other"]
    (tmp_path / "remote" / "model.safetensors").unlink()
    hub.fetch("owner/pickled")
    assert asked[-1]["allow_patterns"] == "*.bin"
    with pytest.raises(ValueError, match="no hub name either"):
        ophclip.load("/no/such/place", download=True)
