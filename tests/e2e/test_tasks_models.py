"""The same videos scored as a bundle, as a folder of vectors written from it, and by open_clip's own models."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from ingest.media import frames_at
from ophclip.cli import main
from ophclip.config import ScoredUnit, ZeroShotConfig
from ophclip.evaluation.embedding_folder import is_embedding_folder, read_embedding_folder
from ophclip.evaluation.embedding_writer import embed_dataset
from ophclip.evaluation.records import Task
from ophclip.evaluation.results import FileResult
from ophclip.evaluation.runs import zeroshot_dataset, zeroshot_video
from ophclip.evaluation.similarity import open_store
from ophclip.evaluation.verifying import verify_from_videos, verify_result
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.models.open_clip_model import load_open_clip

CONFIG = ZeroShotConfig(bootstrap_samples=30, chance_samples=5, window_seconds=2)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))
PROMPTS = "classes:\n  incision: {name: [a cut, the blade]}\n  rhexis: {name: [a tear]}\n  phaco: {name: [the tip]}\n"
SMALL = {
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


def _write_video(path: Path, seconds: int, shift: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for number in range(seconds * 5):
            picture = np.full((72, 96, 3), COLOURS[(number // 20 + shift) % 3], dtype=np.uint8)
            picture[:, number % 90 : number % 90 + 6] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _bundle(folder: Path, pooling: FramePooling = FramePooling.MEAN) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
        pooling=pooling,
    )
    save_bundle(folder, build_model(config), config, {})
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos with phases in a table, prompts, and a bundle."""
    root = tmp_path_factory.mktemp("models")
    rows = ["video,start_seconds,end_seconds,label"]
    for number in range(2):
        _write_video(root / f"case{number}.mp4", 12, number)
        rows += [f"case{number},{4 * place},{4 * place + 4},{label}" for place, label in
                 enumerate(("incision", "rhexis", "phaco"))]  # fmt: skip
    (root / "phases.csv").write_text("\n".join(rows) + "\n")
    (root / "prompts.yaml").write_text(PROMPTS)
    _bundle(root / "bundle")
    return root


def _given(place: Path) -> tuple[str, Path]:
    return "phase-table", place / "phases.csv"


def _figures(tree: Any) -> Any:
    """What should not depend on where the vectors come from."""
    apart = ("throughput", "provenance", "calibration", "given", "files", "leakage")
    kept = {key: value for key, value in tree.items() if key not in apart}
    return json.loads(json.dumps(kept), parse_float=lambda text: round(float(text), 6))


@pytest.mark.parametrize("unit", list(ScoredUnit))
def test_a_folder_written_from_a_bundle_scores_as_the_bundle(place: Path, tmp_path: Path, unit: ScoredUnit) -> None:
    config = ZeroShotConfig(bootstrap_samples=30, chance_samples=5, window_seconds=2, unit=unit)
    prompts = str(place / "prompts.yaml")
    folder = tmp_path / "vectors"
    assert embed_dataset(place / "bundle", *_given(place), folder, config=config, prompts=prompts) == 2
    (tmp_path / "labels").mkdir()
    table = Path(shutil.copy(place / "phases.csv", tmp_path / "labels"))
    own = zeroshot_dataset(place / "bundle", *_given(place), tmp_path / "own", config=config, prompts=prompts)
    theirs = zeroshot_dataset(folder, "phase-table", table, tmp_path / "theirs", config=config, prompts=prompts)
    assert _figures(own.to_json()) == _figures(theirs.to_json())
    assert isinstance(own, FileResult) == (unit is ScoredUnit.SEGMENT)
    assert verify_result(tmp_path / "own") == verify_result(tmp_path / "theirs") == ()
    assert verify_from_videos(tmp_path / "own", place / "bundle", *_given(place), prompts=prompts) == ()
    assert verify_from_videos(tmp_path / "theirs", folder, "phase-table", table, prompts=prompts) == ()
    odd = verify_from_videos(tmp_path / "own", folder, "phase-table", table, prompts=prompts)
    assert {one.field for one in odd} == {"provenance.weights_sha256"}
    seen = read_embedding_folder(folder).video(place / "case0.mp4", 1.0)
    assert (len(seen.seconds_t), seen.duration_seconds) == (12, pytest.approx(12))


def test_whole_segments_are_pooled_before_they_are_compared(place: Path, tmp_path: Path) -> None:
    """With another pooling than the mean it matters."""
    bundle = _bundle(tmp_path / "bundle", FramePooling.TEMPORAL_TRANSFORMER)
    config = ZeroShotConfig(bootstrap_samples=5, chance_samples=5, unit=ScoredUnit.SEGMENT)
    prompts = str(place / "prompts.yaml")
    found = zeroshot_dataset(bundle, *_given(place), tmp_path / "out", config=config, prompts=prompts)
    assert isinstance(found, FileResult)
    assert (found.task, found.provenance.protocol, len(found.files)) == (Task.CLIP, "clip_topk", 6)
    model = open_store(load_bundle(bundle), config)
    vectors_td = model.video(place / "case1.mp4").vectors_td
    vector_d = model.model.pool_spans(vectors_td, [(4, 8)])[0]
    texts_nd = model.texts(["a cut", "the blade", "a tear", "the tip"])
    classes_cd = np.stack([texts_nd[:2].mean(axis=0), texts_nd[2], texts_nd[3]])
    classes_cd /= np.linalg.norm(classes_cd, axis=1, keepdims=True)
    file = next(one for one in found.files if one.file_id == "case1#2@4.000-8.000")
    np.testing.assert_allclose(file.scores_c, vector_d @ classes_cd.T, atol=1e-6)
    with pytest.raises(ValueError, match="pools frames by temporal_transformer, and vectors in a folder are pooled by"):
        embed_dataset(bundle, *_given(place), tmp_path / "vectors", config=config, prompts=prompts)


def test_a_folder_grows_resumes_and_keeps_models_apart(place: Path, tmp_path: Path) -> None:
    prompts, folder = str(place / "prompts.yaml"), tmp_path / "vectors"
    embed_dataset(place / "bundle", *_given(place), folder, config=CONFIG, prompts=prompts)
    first = read_embedding_folder(folder).weights_sha256
    (folder / "frames" / "case1.npz").unlink()
    assert embed_dataset(place / "bundle", *_given(place), folder, config=CONFIG, prompts=prompts) == 1
    assert read_embedding_folder(folder).weights_sha256 == first
    other = tmp_path / "other.yaml"
    other.write_text(PROMPTS.replace("a tear", "a round tear"))
    assert embed_dataset(place / "bundle", *_given(place), folder, config=CONFIG, prompts=str(other)) == 0
    assert {"a tear", "a round tear"} <= set(read_embedding_folder(folder).texts)
    faster = ZeroShotConfig(fps=2)
    with pytest.raises(ValueError, match=r"model\.json: of another model or another fps"):
        embed_dataset(place / "bundle", *_given(place), folder, config=faster, prompts=prompts)
    with pytest.raises(ValueError, match=r"not empty, and no model\.json in it"):
        embed_dataset(place / "bundle", *_given(place), place, config=CONFIG, prompts=prompts)
    with pytest.raises(ValueError, match="holds vectors already"):
        embed_dataset(folder, *_given(place), tmp_path / "again", config=CONFIG, prompts=prompts)
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(place / "phases.csv", moved)
    for number in range(2):
        shutil.copy(place / f"case{1 - number}.mp4", moved / f"case{number}.mp4")
    with pytest.raises(ValueError, match=r"case0\.npz: made from another file than .*moved/case0\.mp4"):
        embed_dataset(place / "bundle", "phase-table", moved / "phases.csv", folder, config=CONFIG, prompts=prompts)


def test_the_commands_take_any_kind_of_model(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["ophclip", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert end.value.code in (0, None, 2), said
        return said.out + said.err

    data = ("--dataset", "phase-table", "--root", place / "phases.csv", "--prompts", place / "prompts.yaml")
    quick = ("bootstrap_samples=5", "chance_samples=2")
    assert "2 new files" in run("embed", place / "bundle", *data, "--out", tmp_path / "v")
    assert "video_macro_v1" in run("zeroshot", tmp_path / "v", *data, "--out", tmp_path / "r", *quick)
    assert "clip_topk" in run("zeroshot", tmp_path / "v", *data, "--out", tmp_path / "s", *quick, "unit=segment")
    assert "equal, from predictions and videos" in run("verify", tmp_path / "s", "--bundle", tmp_path / "v", *data)
    assert "clip_macro_f1" in run("compare", tmp_path / "s", tmp_path / "s")
    assert "different tasks: phases, clips" in run("compare", tmp_path / "r", tmp_path / "s")
    assert "no such folder" in run("zeroshot", tmp_path / "none", *data)
    assert "embed: give --dataset NAME" in run("embed", place / "bundle")


@pytest.fixture
def small_models(tmp_path: Path) -> Path:
    """Two small architectures of open_clip's, one of them a CoCa, which no bundle can describe, and their weights."""
    for name, extra in (
        ("small-clip", {"embed_dim": 24}),
        (
            "small-coca",
            {
                "embed_dim": 24,
                "custom_text": True,
                "multimodal_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
            },
        ),
    ):
        described = json.loads(json.dumps({**SMALL, **extra}))
        if "coca" in name:
            described["vision_cfg"] |= {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
            described["text_cfg"] |= {"embed_cls": True, "output_tokens": True, "context_length": 15}
        (tmp_path / f"{name}.json").write_text(json.dumps(described))
        open_clip.add_model_config(tmp_path / f"{name}.json")
        torch.manual_seed(1)
        torch.save(open_clip.create_model(name).state_dict(), tmp_path / f"{name}.pt")
    return tmp_path


@pytest.mark.parametrize("name", ["small-clip", "small-coca"])
def test_a_model_of_open_clips_gives_what_open_clip_gives(place: Path, small_models: Path, name: str) -> None:
    file = small_models / f"{name}.pt"
    loaded = load_open_clip(f"open_clip:{name},{file}")
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained=str(file))
    model.eval()
    video, sentences = place / "case0.mp4", ["a cut", "the phaco tip in the eye"]
    pixels_thwc = frames_at(video, range(12)).pixels_thwc
    with torch.inference_mode():
        pictures = torch.stack([transform(Image.fromarray(pixels)) for pixels in pixels_thwc])
        frames_td = model.encode_image(pictures, normalize=True).numpy()
        texts_nd = model.encode_text(open_clip.get_tokenizer(name)(sentences), normalize=True).numpy()
    np.testing.assert_allclose(open_store(loaded, CONFIG).video(video).vectors_td, frames_td, atol=1e-6)
    np.testing.assert_allclose(loaded.embed_texts(sentences), texts_nd, atol=1e-6)
    assert loaded.logit_scale == pytest.approx(1 / 0.07)
    assert loaded.name == name


def test_a_dataset_is_scored_by_a_model_of_open_clips(place: Path, small_models: Path, tmp_path: Path) -> None:
    spec, prompts = f"open_clip:small-coca,{small_models / 'small-coca.pt'}", str(place / "prompts.yaml")
    found = zeroshot_dataset(spec, *_given(place), tmp_path / "out", config=CONFIG, prompts=prompts)
    assert found.provenance.model_name == "small-coca"
    assert verify_from_videos(tmp_path / "out", spec, *_given(place), prompts=prompts) == ()
    embed_dataset(spec, *_given(place), tmp_path / "vectors", config=CONFIG, prompts=prompts)
    again = zeroshot_dataset(tmp_path / "vectors", *_given(place), tmp_path / "v", config=CONFIG, prompts=prompts)
    assert _figures(again.to_json()) == _figures(found.to_json())
    curve = zeroshot_video(tmp_path / "vectors", Path("case1.mp4"), prompts, tmp_path / "curve", config=CONFIG)
    assert curve.scores_tc.shape == (12, 3)


def test_a_folder_of_open_clips_is_opened_as_open_clip_opens_it(small_models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    described = json.loads((small_models / "small-coca.json").read_text())
    looks = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": described, "preprocess_cfg": looks}))
    shutil.copy(small_models / "small-coca.pt", folder / "open_clip_pytorch_model.bin")
    loaded = load_open_clip(f"open_clip:{folder}")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    with torch.inference_mode():
        direct = model.eval().encode_image(transform(Image.fromarray(pixels))[None], normalize=True).numpy()
    np.testing.assert_allclose(loaded.embed_frames([pixels]), direct, atol=1e-6)
    assert loaded.name == "hub"
    assert not is_embedding_folder(folder)


def test_the_releases_of_an_architecture_say_how_pictures_are_prepared(tmp_path: Path) -> None:
    """open_clip's default would show SigLIP pictures in the wrong colours."""
    from ophclip.models.open_clip_model import released_looks

    assert released_looks("ViT-B-16-SigLIP")["mean"] == (0.5, 0.5, 0.5)
    assert released_looks("ViT-B-32") == {} or released_looks("ViT-B-32")["mean"][0] == pytest.approx(0.48145466)
    assert released_looks("small-clip") == {}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("open_clip:ViT-B-32", "expected open_clip:NAME,FILE"),
        ("open_clip:ViT-B-32,nowhere.pt", "expected open_clip:NAME,FILE"),
        ("open_clip:ViT-B-33,{file}", "ViT-B-33 is no architecture of open_clip; near ones: ViT-B-32"),
        ("open_clip:small-coca,{file}", "does not hold weights of this architecture"),
        ("open_clip:small-clip,{junk}", "does not hold weights of this architecture"),
        ("open_clip:{empty}", "or a folder with open_clip_config.json"),
        ("open_clip:roberta-ViT-B-32,{file}", "needs roberta-base of the Hugging Face hub, which is not in its cache"),
    ],
)
def test_what_open_clip_cannot_open_is_told_in_one_line(
    small_models: Path, spec: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophclip.models.open_clip_model.cached", lambda _: None)
    (small_models / "junk.pt").write_bytes(b"no tensors")
    (small_models / "empty").mkdir()
    names = {"file": small_models / "small-clip.pt", "junk": small_models / "junk.pt", "empty": small_models / "empty"}
    with pytest.raises(ValueError, match=message) as refused:
        load_open_clip(spec.format(**names))
    assert "\n" not in str(refused.value)
