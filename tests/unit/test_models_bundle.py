"""A bundle: bit for bit what was saved, at home on any machine, and plain about damage."""

from __future__ import annotations

import dataclasses
import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

import ophclip
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.data.pictures import stored_side_px
from ophclip.data.tokenizer import build_tokenizer
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, TowerKind, VisualConfig
from ophclip.models.bundle import load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.models.embed import embed_frames, embed_texts
from ophclip.models.preprocess import build_preprocess

TEXTS = ["the phaco handpiece removes the nucleus", "an incision is made"]


def tiny() -> ModelConfig:
    return ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=32),
        text=TextConfig(name="tiny", context_length=16),
    )


def demo() -> ModelConfig:
    return compose("train", ["model=demo", "data.root=x"], TrainConfig).model


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 60, 80, 3), dtype=np.uint8)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a bundle loads without the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def pooled() -> ModelConfig:
    return dataclasses.replace(tiny(), pooling=FramePooling.TEMPORAL_TRANSFORMER)


@pytest.mark.parametrize("make", [tiny, pooled, demo])
def test_what_is_loaded_is_what_was_saved_bit_for_bit(
    tmp_path: Path, make: object, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: ModelConfig = make()  # type: ignore[operator]
    model = build_model(config)
    tokenizer, preprocess = build_tokenizer(config.text), build_preprocess(config.visual)
    before = embed_frames(model, preprocess, pictures()), embed_texts(model, tokenizer, TEXTS)
    digest = save_bundle(tmp_path / "made", model, config, {"steps": 3})
    (tmp_path / "made").rename(tmp_path / "moved")

    def gone(*_: object) -> None:
        raise AssertionError("a bundle needs none of the files that training began with")

    monkeypatch.setattr("ophclip.models.towers.load_visual", gone)
    monkeypatch.setattr("ophclip.models.towers.load_hugging_face", gone)
    state = torch.random.get_rng_state()
    loaded = load_bundle(tmp_path / "moved")
    assert torch.equal(state, torch.random.get_rng_state())
    assert loaded.weights_sha256 == digest
    assert not loaded.model.training
    after = (
        embed_frames(loaded.model, loaded.preprocess, pictures()),
        embed_texts(loaded.model, loaded.tokenizer, TEXTS),
    )
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    again = save_bundle(tmp_path / "again", loaded.model, loaded.config, {})
    assert again == digest


def test_a_bundle_carries_the_bias_of_sigmoids(tmp_path: Path) -> None:
    model = build_model(tiny(), sigmoid=True)
    with torch.no_grad():
        model.logit_bias.fill_(-7.5)
    save_bundle(tmp_path / "bundle", model, tiny(), {})
    loaded = load_bundle(tmp_path / "bundle").model
    assert float(loaded.logit_bias.detach()) == -7.5
    assert loaded.logit_scale.item() == pytest.approx(10, rel=1e-5)


def test_the_public_door_gives_the_three_things(tmp_path: Path) -> None:
    save_bundle(tmp_path / "bundle", build_model(tiny()), tiny(), {})
    model, preprocess, tokenizer = ophclip.load(tmp_path / "bundle")
    assert model.encode_image(preprocess(pictures())).shape == (3, 32)
    assert model.encode_text(tokenizer(TEXTS)).shape == (2, 32)


def test_the_card_says_what_it_was_told_and_no_local_path(tmp_path: Path) -> None:
    config = tiny()
    model = build_model(config)
    config.visual.weights = str(tmp_path / "private" / "clip.pt")
    save_bundle(tmp_path / "bundle", model, config, {"trained on": "two words\nand a line"})
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "| trained on | two words and a line |" in card
    assert str(tmp_path) not in card + (tmp_path / "bundle" / "config.json").read_text()


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    save_bundle(folder, build_model(tiny()), tiny(), {})
    weights, config = folder / "model.safetensors", folder / "config.json"
    whole, described = weights.read_bytes(), json.loads(config.read_text())

    def told(words: str) -> None:
        with pytest.raises(ValueError, match=words) as caught:
            load_bundle(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)

    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    told("SHA-256 differs")
    weights.unlink()
    told("missing; copy the bundle anew")
    weights.write_bytes(whole)
    config.write_text(json.dumps({**described, "format_version": 99}))
    told("expected format_version 2")
    config.write_text(json.dumps({**described, "model": {**described["model"], "unheard": 1}}))
    told("another version of ophclip")
    config.write_text("{")
    told("not readable as JSON")
    config.unlink()
    told("this is no bundle")


def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="exists and is no bundle"):
        save_bundle(tmp_path, build_model(tiny()), tiny(), {})
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_preprocessing_of_a_stored_picture_sees_the_same_view() -> None:
    preprocess = build_preprocess(dataclasses.replace(tiny().visual, image_size_px=40))
    smooth = np.repeat(np.linspace(0, 255, 60, dtype=np.uint8)[:, None], 80, axis=1)[None, :, :, None].repeat(3, axis=3)
    direct = preprocess(smooth)
    stored = build_preprocess(dataclasses.replace(tiny().visual, image_size_px=stored_side_px(40)))
    from ophclip.data.pictures import square

    larger = torch.from_numpy(square(smooth[0], stored.image_size_px).copy()).permute(2, 0, 1)[None]
    torch.testing.assert_close(preprocess.normalise(larger), direct, atol=0.05, rtol=0)


def test_preprocessing_refuses_what_is_no_picture() -> None:
    preprocess = build_preprocess(tiny().visual)
    with pytest.raises(ValueError, match=r"expected uint8 \[H, W, 3\], found float64"):
        preprocess(np.zeros((1, 8, 8, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no pictures given"):
        preprocess([])


def test_embedding_is_batched_and_leaves_the_mode_alone() -> None:
    config = tiny()
    model = build_model(config).train()
    whole = embed_frames(model, build_preprocess(config.visual), pictures(7))
    parts = embed_frames(model, build_preprocess(config.visual), iter(pictures(7)), batch=2)
    assert whole.dtype == np.float32
    assert whole.shape == (7, 32)
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    assert model.training
    assert embed_frames(model, build_preprocess(config.visual), []).shape == (0, 32)


def test_towers_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.visual\.kind: expected open_clip or timm"):
        VisualConfig(kind=TowerKind.HF, name="x")
    with pytest.raises(ValueError, match=r"model\.text\.kind: expected open_clip or hf"):
        TextConfig(kind=TowerKind.TIMM, name="x")


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path) -> None:
    from ophclip.models.description import refuse_other_content

    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="format_version"):
        refuse_other_content(tmp_path)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.txt"):
        refuse_other_content(tmp_path)
