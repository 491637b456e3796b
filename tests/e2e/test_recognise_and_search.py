"""A bundle and labelled videos in; figures, predictions, pictures and hits out, all parts real."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from ingest.manifest import MANIFEST_NAME, Manifest, Outcome, State, VideoRow
from ingest.media import frames_at
from ingest.records import Clip
from ingest.shards import sha256_of
from ophclip.config import IndexConfig, ZeroShotConfig
from ophclip.evaluation.comparing import compare_results
from ophclip.evaluation.datasets import read_cataract101, read_presence_table
from ophclip.evaluation.embedding import class_vectors
from ophclip.evaluation.prompts import Style, builtin_prompts
from ophclip.evaluation.results import PhaseResult, PresenceResult
from ophclip.evaluation.runs import zeroshot_dataset, zeroshot_video
from ophclip.evaluation.similarity import open_store, score_video
from ophclip.evaluation.timelines import read_timelines
from ophclip.evaluation.verifying import verify_from_videos, verify_result
from ophclip.evaluation.zeroshot import evaluate_phases
from ophclip.evaluation.zeroshot_presence import evaluate_presence
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import Loaded, load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.search.build import build_index
from ophclip.search.filters import Filters
from ophclip.search.index import open_index
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig

SMOOTHING = SmoothingConfig(causal=Causal.MEDIAN, seconds=3, offline=Offline.VITERBI, dwell_seconds=4)
CONFIG = ZeroShotConfig(bootstrap_samples=50, chance_samples=20, smoothing=SMOOTHING)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))


def _write_video(path: Path, seconds: int, shift: int) -> None:
    """Four seconds of each colour in turn, ten frames a second, with a bar that moves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for number in range(seconds * 10):
            picture = np.full((72, 96, 3), COLOURS[(number // 40 + shift) % 3], dtype=np.uint8)
            picture[:, number % 90 : number % 90 + 6] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _bundle(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    config = ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
    )
    save_bundle(folder, build_model(config), config, {})
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled videos in the layout of Cataract-101, presence of three instruments, and a bundle."""
    root = tmp_path_factory.mktemp("place")
    _bundle(root / "bundle", seed=0)
    data = root / "cataract101"
    (data / "videos").mkdir(parents=True)
    rows = ["video,seconds,keratome,phaco_tip,I/A handpiece"]
    for shift, name in enumerate(("case_001", "case_002")):
        _write_video(data / "videos" / f"{name}.mp4", 14, shift)
        rows += [f"{name},{second},{int(second < 4)},{int(4 <= second < 8)},0" for second in range(14)]
    (data / "videos.csv").write_text("VideoID;Frames;FPS;Surgeon;Experience\n001;140;10;1;1\n002;140;10;2;1\n")
    starts = "\n".join(
        f"{name};{frame};{phase}" for name in ("001", "002") for frame, phase in ((20, 1), (40, 5), (80, 6))
    )
    (data / "annotations.csv").write_text(f"VideoID;FrameNo;Phase\n{starts}\n")
    names = ("Incision", "Viscous agent injection", "Rhexis", "Hydrodissection", "Phacoemulsificiation",
             "Irrigation and aspiration")  # fmt: skip
    (data / "phases.csv").write_text("Phase;Meaning\n" + "".join(f"{i};{name}\n" for i, name in enumerate(names, 1)))
    (root / "presence.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def loaded(place: Path) -> Loaded:
    return load_bundle(place / "bundle")


def test_phases_and_presence_share_one_decode_and_repeat(place: Path, loaded: Loaded) -> None:
    store = open_store(loaded, CONFIG)
    phases = read_cataract101(place / "cataract101")
    first = evaluate_phases(store, phases, builtin_prompts("cataract101"), CONFIG)
    assert first.throughput.frames == 28
    presence = read_presence_table(place / "presence.csv", (place / "cataract101",))
    found = evaluate_presence(store, presence, builtin_prompts("instruments"), CONFIG)
    assert found.throughput.frames == 0
    again = evaluate_phases(open_store(loaded, CONFIG), phases, builtin_prompts("cataract101"), CONFIG)
    one, two = first.to_json(), again.to_json()
    assert {**one, "throughput": 0} == {**two, "throughput": 0}
    assert found.unseen == ("I/A handpiece",)
    assert found.nulls == 2
    assert all(score.seconds == 12 for score in first.videos.values())
    assert first.absent == 2 * 3


def test_the_curve_is_the_cosine_of_frames_and_averaged_sentences(place: Path, loaded: Loaded) -> None:
    prompts = builtin_prompts("cataract101")
    path = place / "cataract101" / "videos" / "case_001.mp4"
    store = open_store(loaded, CONFIG)
    curve = score_video(store, path, prompts, CONFIG)
    assert curve.seconds_t.tolist() == list(range(14))
    capture = cv2.VideoCapture(str(path))
    for second in (0, 5, 13):
        capture.set(cv2.CAP_PROP_POS_FRAMES, second * 10)
        pixels = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            frame = loaded.model.encode_frames(loaded.preprocess([pixels]), normalise=True)[0].numpy()
            texts = loaded.model.encode_text(
                loaded.tokenizer(list(prompts.classes[3].sentences(Style.ENSEMBLE))), normalise=True
            ).numpy()
        mean = texts.mean(axis=0)
        assert curve.scores_tc[second, 3] == pytest.approx(frame @ (mean / np.linalg.norm(mean)), abs=2e-2)
    vectors = class_vectors(store, prompts, Style.NAME)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)


def test_a_run_writes_figures_predictions_and_pictures(place: Path, tmp_path: Path) -> None:
    result = zeroshot_dataset(
        place / "bundle", "cataract101", place / "cataract101", tmp_path / "out", config=CONFIG,
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert isinstance(result, PhaseResult)
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["provenance"]["protocol"] == "video_macro_v1"
    assert set(written["styles"]) == {"name", "narration", "description", "ensemble"}
    assert {"video_macro_v1", "frame_micro", "localisation_map", "clip_topk"} <= set(written["protocols"])
    assert written["calibration"].keys() == {"ece", "aurc"}
    assert set(written["smoothed"]) == {"causal", "offline"}
    for found in written["smoothed"].values():
        assert set(found["summary"]) == {"accuracy", "precision", "recall", "f1", "jaccard"}
        assert set(found["protocols"]) == set(written["protocols"]) - {"clip_topk"}
    lines = read_timelines(tmp_path / "out" / "predictions.csv", result.classes)
    for line, kept in zip(lines, result.timelines, strict=True):
        np.testing.assert_array_equal(line.truth_t, kept.truth_t)
        np.testing.assert_array_equal(line.predicted_t, kept.predicted_t)
        for name in ("causal", "offline"):
            mine, theirs = line.smoothed(name), kept.smoothed(name)
            assert mine is not None
            assert theirs is not None
            np.testing.assert_array_equal(mine.predicted_t, theirs.predicted_t)
            np.testing.assert_array_equal(mine.confidence_t, theirs.confidence_t)
    assert {path.name for path in (tmp_path / "out" / "ribbons").iterdir()} == {"case_001.png", "case_002.png"}
    assert verify_result(tmp_path / "out") == ()
    bundle, root = place / "bundle", place / "cataract101"
    assert verify_from_videos(tmp_path / "out", bundle, "cataract101", root) == ()
    again = zeroshot_dataset(
        place / "bundle", "presence-table", place / "presence.csv", tmp_path / "presence", config=CONFIG,
        videos=(place / "cataract101",), cache=tmp_path / "cache",
    )  # fmt: skip
    assert isinstance(again, PresenceResult)
    assert again.throughput.frames == 0
    assert verify_result(tmp_path / "presence") == ()
    assert compare_results(tmp_path / "presence", tmp_path / "presence")[0].difference.difference == 0
    cached = next((tmp_path / "cache").rglob("*.npz"))
    cached.write_bytes(b"damaged")
    mended = zeroshot_dataset(
        place / "bundle", "cataract101", place / "cataract101", tmp_path / "out", config=CONFIG,
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert mended.throughput.frames == 14
    assert mended.to_json()["summary"] == result.to_json()["summary"]


def test_one_video_is_compared_with_sentences_of_a_text_file(place: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red picture\na green picture\n")
    video = place / "cataract101" / "videos" / "case_002.mp4"
    curve = zeroshot_video(place / "bundle", video, str(prompts), tmp_path / "out", config=CONFIG)
    assert curve.scores_tc.shape == (14, 2)
    lines = (tmp_path / "out" / "similarity.csv").read_text().splitlines()
    assert lines[0] == "seconds,a red picture,a green picture"
    assert len(lines) == 15
    assert (tmp_path / "out" / "similarity.png").stat().st_size > 1000


def test_labels_of_another_video_are_refused(place: Path, loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video,seconds,keratome\ncase_001,100,1\n")
    presence = read_presence_table(tmp_path / "p.csv", (place / "cataract101",))
    with pytest.raises(ValueError, match="no labelled second of case_001 lies within the file"):
        evaluate_presence(open_store(loaded, CONFIG), presence, builtin_prompts("instruments"), CONFIG)


@pytest.fixture
def videos(place: Path, tmp_path: Path) -> Path:
    """A folder with one video, to which more are added."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(place / "cataract101" / "videos" / "case_001.mp4", folder / "case_001.mp4")
    (folder / "case_001.info.json").write_text(json.dumps({"title": "Colours", "license": "CC0"}))
    return folder


def test_an_index_grows_by_what_is_new_and_answers_every_kind_of_query(
    place: Path, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "index"
    assert build_index(place / "bundle", out, videos=videos).added == 1
    shutil.copy(place / "cataract101" / "videos" / "case_002.mp4", videos / "case 002.mp4")
    shutil.copy(videos / "case_001.mp4", videos / "the_same.mp4")
    (videos / "broken.mp4").write_text("not a video")
    summary = build_index(place / "bundle", out, videos=videos)
    assert (summary.added, summary.unchanged, summary.videos) == (1, 1, 2)
    assert [path.name for path, _ in summary.failed] == ["broken.mp4"]
    with open_index(out) as index:
        hits = index.search(text="phaco handpiece", k=3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert {hit.video_id for hit in index.search(text="a red field", k=5, group_by_video=True)} == {
            "case_001",
            "case_002",
        }
        whole = index.search(video=videos / "case 002.mp4", k=1, level="video")[0]
        assert (whole.video_id, whole.start_seconds, whole.end_seconds) == ("case_002", 0.0, 14.0)
        assert whole.score == pytest.approx(1.0, abs=1e-3)
        (named,) = [hit for hit in index.search(text="x", k=2, level="video") if hit.video_id == "case_001"]
        assert (named.title, named.license) == ("Colours", "CC0")
        assert index.search(text="x", min_score=1.0) == []
        assert index.search(text="x", filters=Filters(narrated=True)) == []
        picture = cv2.imdecode(np.frombuffer(hits[0].thumbnail_jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[1] == IndexConfig().thumbnail_width_px
        cv2.imwrite(str(tmp_path / "query.png"), picture)
        assert index.search(image=tmp_path / "query.png", k=1)[0].path.is_file()
        windows = index.search(vector=np.ones(32), k=100, merge=False)
        assert len(windows) == len(index) == summary.windows
        with pytest.raises(ValueError, match="give one of text, image, video, vector; 2 given"):
            index.search(text="x", vector=np.ones(32))
        with pytest.raises(ValueError, match="expected 32 finite numbers"):
            index.search(vector=np.ones(3))


def test_a_video_whose_content_changed_is_indexed_anew(place: Path, videos: Path, tmp_path: Path) -> None:
    build_index(place / "bundle", tmp_path / "index", videos=videos)
    _write_video(videos / "case_001.mp4", 6, shift=2)
    summary = build_index(place / "bundle", tmp_path / "index", videos=videos)
    assert (summary.added, summary.videos, summary.windows) == (1, 1, 2)


def test_a_corpus_brings_narration_and_what_it_knows_later(place: Path, videos: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    path = videos / "case_001.mp4"
    row = VideoRow(
        video_id="narrated", path=str(path), source_relative=path.name, sha256=sha256_of(path), stamp="", recipe="",
        state=State.DONE, narrated=True, title="A title", license="CC BY 4.0",
    )  # fmt: skip
    clips = [
        Clip(video_id="narrated", index=number, start_seconds=start, end_seconds=start + 3, narration=text)
        for number, (start, text) in enumerate([(0.0, "First."), (3.0, "Second."), (11.0, "Last.")])
    ]
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        manifest.finish(row, Outcome(clips=tuple(clips)))
        manifest.put([replace(row, video_id="bad", source_relative="bad.mp4", state=State.REJECTED)])
    shutil.copy(place / "cataract101" / "videos" / "case_002.mp4", videos / "case_002.mp4")
    summary = build_index(place / "bundle", tmp_path / "index", corpus=corpus, videos=videos)
    assert (summary.added, summary.videos, summary.failed) == (2, 2, ())
    with open_index(tmp_path / "index") as index:
        hits = index.search(vector=np.ones(32), k=20, merge=False, filters=Filters(narrated=True))
        assert {hit.video_id for hit in hits} == {"narrated"}
        said = {hit.start_seconds: hit.narration for hit in hits}
        assert said == {
            0.0: "First. Second.",
            2.0: "First. Second.",
            4.0: "Second.",
            6.0: "",
            8.0: "Last.",
            10.0: "Last.",
        }
        assert {(hit.title, hit.license) for hit in hits} == {("A title", "CC BY 4.0")}
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        manifest.finish(replace(row, title="Another"), Outcome(clips=(replace(clips[0], narration="Corrected."),)))
    assert build_index(place / "bundle", tmp_path / "index", corpus=corpus).added == 0
    with open_index(tmp_path / "index") as index:
        first = index.search(vector=np.ones(32), k=20, merge=False, filters=Filters(narrated=True))
        assert {hit.narration for hit in first} == {"Corrected.", ""}
        assert {hit.title for hit in first} == {"Another"}
    with pytest.raises(ValueError, match=r"manifest\.sqlite: expected the manifest of a corpus"):
        build_index(place / "bundle", tmp_path / "index", corpus=tmp_path)


def test_an_index_moves_with_its_bundle_and_videos(place: Path, videos: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "bundle", tmp_path / "bundle")
    build_index(tmp_path / "bundle", tmp_path / "index", videos=videos)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("bundle", "index", "videos"):
        (tmp_path / name).rename(moved / name)
    with open_index(moved / "index") as index:
        assert index.search(text="keratome", k=1)[0].path == (moved / "videos" / "case_001.mp4").resolve()
    (moved / "bundle").rename(moved / "hidden")
    with open_index(moved / "index") as index, pytest.raises(ValueError, match="is gone; name it with --bundle"):
        index.search(text="keratome")
    with open_index(moved / "index", moved / "hidden") as index:
        assert index.search(text="keratome", k=1)


def test_other_weights_other_windows_and_nothing_to_index_are_refused(
    place: Path, videos: Path, tmp_path: Path
) -> None:
    build_index(place / "bundle", tmp_path / "index", videos=videos)
    other = _bundle(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match="made by weights"):
        build_index(other, tmp_path / "index", videos=videos)
    with open_index(tmp_path / "index", other) as index, pytest.raises(ValueError, match="made by weights"):
        index.search(text="x")
    with pytest.raises(ValueError, match="made with stride_seconds 2, asked for 1"):
        build_index(place / "bundle", tmp_path / "index", videos=videos, config=IndexConfig(stride_seconds=1))
    with pytest.raises(ValueError, match="nothing to index"):
        build_index(place / "bundle", tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no video in it"):
        build_index(place / "bundle", tmp_path / "new", videos=tmp_path / "empty")
    (tmp_path / "empty" / "text.mp4").write_text("text")
    with pytest.raises(ValueError, match=r"text\.mp4: not a readable video.*none of 1 files"):
        build_index(place / "bundle", tmp_path / "new", videos=tmp_path / "empty")
    with pytest.raises(ValueError, match="holds no video"):
        open_index(tmp_path / "new")


def test_real_video_is_scored_second_by_second_and_found_again(real_data: Path, place: Path, tmp_path: Path) -> None:
    table = tmp_path / "phases.csv"
    rows = (("0", "7.1", "incision"), ("7.1", "14.1", "rhexis"), ("14.1", "20.9", "phaco"), ("20.9", "26.7", "I/A"))
    lines = [f"narrated_cataract,{start},{end},{label}" for start, end, label in rows]
    table.write_text("\n".join(["video,start_seconds,end_seconds,label", *lines]) + "\n")
    result = zeroshot_dataset(
        place / "bundle", "phase-table", table, tmp_path / "out", config=CONFIG, prompts="cataract101",
        videos=(real_data / "video",),
    )  # fmt: skip
    assert isinstance(result, PhaseResult)
    assert result.throughput.frames == 39
    assert result.videos["narrated_cataract"].seconds == 27
    shutil.copy(real_data / "video" / "narrated_cataract.mp4", tmp_path / "out" / "v.mp4")
    build_index(place / "bundle", tmp_path / "index", videos=tmp_path / "out")
    with open_index(tmp_path / "index") as index:
        picture = next((real_data / "cataract1k" / "images").iterdir())
        hit = index.search(image=picture, k=1)[0]
        assert 0 <= hit.start_seconds < hit.peak_seconds < hit.end_seconds <= 38.4


def test_a_learned_pooling_is_used_in_windows_queries_and_curves(place: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
        pooling=FramePooling.TEMPORAL_TRANSFORMER,
    )
    model = build_model(config).eval()
    torch.nn.init.normal_(model.pooling.added.weight)
    save_bundle(tmp_path / "bundle", model, config, {})
    video = place / "cataract101" / "videos" / "case_001.mp4"
    (tmp_path / "videos").mkdir()
    shutil.copy(video, tmp_path / "videos" / "one.mp4")
    build_index(tmp_path / "bundle", tmp_path / "index", videos=tmp_path / "videos", config=IndexConfig(fps=1.0))
    loaded = load_bundle(tmp_path / "bundle")
    frames = frames_at(video, [float(second) for second in range(14)], short_side_px=64).pixels_thwc
    inputs_tchw = loaded.preprocess(frames)

    def encoded(first: int, stop: int) -> np.ndarray:
        with torch.no_grad():
            return loaded.model.encode_video(inputs_tchw[None, first:stop], normalise=True)[0].numpy()

    with open_index(tmp_path / "index") as index:
        for first in (0, 4, 10):
            hit, *_ = index.search(vector=encoded(first, first + 4), k=1, merge=False)
            assert hit.score == pytest.approx(1, abs=1e-4)
            assert hit.start_seconds == first
        hit, *_ = index.search(video=video, k=1, level="video")
        assert hit.score == pytest.approx(1, abs=1e-4)
        image = index.search(image=frames[3], k=1, merge=False)
        assert image[0].score == pytest.approx(index.search(vector=encoded(3, 4), k=1, merge=False)[0].score, abs=1e-4)
    prompts = builtin_prompts("cataract101")
    for window_seconds, reach in ((0.0, 0), (4.0, 2)):
        shown = ZeroShotConfig(window_seconds=window_seconds)
        store = open_store(loaded, shown)
        curve = score_video(store, video, prompts, shown)
        vectors_cd = class_vectors(store, prompts, Style.ENSEMBLE)
        expected_c = vectors_cd @ encoded(5 - reach, 6 + reach)
        np.testing.assert_allclose(curve.scores_tc[5], expected_c, atol=1e-4)
