"""Surgery passes the screen, also badly filmed; what is none is named by its reason."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawing import NOT_SURGERY, Pixels

from ingest.config.pictures import DuplicatesConfig, ScreenConfig, ScreenKind
from ingest.media import frames_at
from ingest.pictures.fingerprint import build_embedder
from ingest.pictures.screen import Verdict, build_screener, features, main_reason, surgery_share

PER_KIND = 30
REASONS = {
    "slide": {"flat", "lettering"},
    "title_card": {"flat", "lettering"},
    "black": {"black"},
    "talking_head": {"face", "flat", "no tissue"},
    "theatre": {"no tissue", "flat"},
}


def judged(pictures: list[Pixels]) -> list[Verdict]:
    screener = build_screener(ScreenConfig())
    assert screener is not None
    return screener.judge(pictures)


def drawn(kind: str, seed: int = 7) -> list[Pixels]:
    rng = np.random.default_rng(seed)
    return [NOT_SURGERY[kind](rng) for _ in range(PER_KIND)]


def surgery_frames(folder: Path) -> list[Pixels]:
    frames = [cv2.imread(str(path))[..., ::-1] for path in sorted((folder / "cataract1k" / "images").glob("*.png"))]
    for name, seconds in (("laparoscopy_silent", 9.8), ("narrated_cataract", 38.0)):
        grid = np.linspace(0.1, seconds, 12).tolist()
        frames += list(frames_at(folder / "video" / f"{name}.mp4", grid, short_side_px=256).pixels_thwc)
    return [np.ascontiguousarray(frame) for frame in frames]


@pytest.mark.parametrize("kind", sorted(NOT_SURGERY))
def test_what_is_no_surgery_is_named(kind: str) -> None:
    verdicts = judged(drawn(kind))
    reasons = {verdict.reason for verdict in verdicts if not verdict.surgery}
    assert surgery_share(verdicts) <= (0.1 if kind == "talking_head" else 0.05)
    assert reasons <= REASONS[kind]
    assert all(verdict.score < 0.5 for verdict in verdicts if not verdict.surgery)


def test_real_surgery_is_never_refused_however_badly_it_is_filmed(real_data: Path) -> None:
    frames = surgery_frames(real_data)
    spoiled = [cv2.GaussianBlur(frame, (0, 0), frame.shape[0] / 60) for frame in frames]
    spoiled += [(frame * 0.35).astype(np.uint8) for frame in frames]
    spoiled += [np.clip(frame * 2.0, 0, 255).astype(np.uint8) for frame in frames]
    spoiled += [np.repeat(frame.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8) for frame in frames]
    verdicts = judged(frames + spoiled)
    assert [verdict for verdict in verdicts if not verdict.surgery] == []
    assert all(verdict.score >= 0.5 and verdict.reason == "" for verdict in verdicts)


def test_footage_that_is_no_surgery_is_mostly_refused(real_data: Path) -> None:
    grid = np.linspace(0.1, 12.8, 24).tolist()
    frames = frames_at(real_data / "video" / "narrated_nasa.mp4", grid, short_side_px=256)
    assert surgery_share(judged(list(frames.pixels_thwc))) < 0.8


def test_features_do_not_depend_on_the_size() -> None:
    picture = drawn("slide")[0]
    large = cv2.resize(picture, (912, 512), interpolation=cv2.INTER_CUBIC)
    assert features(large).tissue_share == pytest.approx(features(picture).tissue_share, abs=0.03)
    assert features(large).even_share == pytest.approx(features(picture).even_share, abs=0.1)


def test_features_are_those_of_plain_arithmetic() -> None:
    rng = np.random.default_rng(0)
    levels = np.arange(256, dtype=np.uint8)
    every_pair = np.stack([np.repeat(levels, 256), np.tile(levels, 256), np.tile(levels, 256)], axis=-1)
    pictures = [kind(rng) for kind in NOT_SURGERY.values()] + [every_pair.reshape(256, 256, 3)]
    pictures += [np.ascontiguousarray(every_pair.reshape(256, 256, 3)[..., order]) for order in ([1, 0, 2], [1, 2, 0])]
    pictures += [rng.integers(0, 256, (96, 128, 3)).astype(np.uint8), np.zeros((96, 128, 3), np.uint8)]
    for picture in pictures:
        found = features(picture)
        height, width = picture.shape[:2]
        share = 96 / min(height, width)
        size = (max(1, round(width * share)), max(1, round(height * share)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        lit = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) > 32
        red, green, blue = (small[..., channel].astype(np.float32) for channel in range(3))
        warm = (red > 1.12 * green) & (red > 1.25 * blue) & (green > 0.7 * blue) & lit
        chroma = (small.max(axis=2) - small.min(axis=2))[lit]
        assert found.tissue_share == warm.sum() / max(int(lit.sum()), 1)
        assert found.chroma == (chroma.mean() if lit.any() else 0.0)


def test_a_video_is_told_by_its_commonest_reason() -> None:
    told = [Verdict(surgery=False, reason=reason, score=0.1) for reason in ("flat", "black", "flat")]
    assert main_reason([*told, Verdict(surgery=True, reason="", score=0.9)]) == "flat"
    assert main_reason([]) == ""
    assert surgery_share([]) == 1.0


def test_off_judges_nothing() -> None:
    assert build_screener(ScreenConfig(kind=ScreenKind.OFF)) is None


def test_a_zero_shot_model_is_read_from_a_folder(tmp_path: Path) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    described = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    processing = {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    config = {"model_cfg": described, "preprocess_cfg": processing}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    tower = open_clip.CLIP(**described)
    save_file(tower.state_dict(), tmp_path / "open_clip_model.safetensors")

    screener = build_screener(ScreenConfig(kind=ScreenKind.ZERO_SHOT, model=str(tmp_path), min_surgery_probability=0.0))
    assert screener is not None
    embedder = build_embedder(DuplicatesConfig(model=str(tmp_path)))
    assert embedder is not None
    vectors = embedder.embed(drawn("slide")[:3])
    assert vectors.shape == (3, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    verdicts = screener.judge(drawn("slide")[:3])
    assert all(verdict.surgery and 0.0 < verdict.score < 1.0 for verdict in verdicts)
    strict = build_screener(ScreenConfig(kind=ScreenKind.ZERO_SHOT, model=str(tmp_path), min_surgery_probability=1.0))
    assert strict is not None
    assert {verdict.reason for verdict in strict.judge(drawn("slide")[:3])} == {"not surgery"}


def test_a_zero_shot_model_that_is_not_there_is_told_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"screen\.model: expected|screen\.model: '' given"):
        ScreenConfig(kind=ScreenKind.ZERO_SHOT)
    with pytest.raises(ValueError, match="no open_clip architecture and no folder"):
        build_screener(ScreenConfig(kind=ScreenKind.ZERO_SHOT, model="nowhere"))
