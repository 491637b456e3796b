"""Copies of training videos are found among the evaluated ones, whatever they are called; other operations are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from small_corpus import write_corpus

from ingest.manifest import Manifest, Outcome, State, VideoRow
from ingest.pictures.fingerprint import LITE, Embedder, Fingerprint, build_embedder, fingerprint
from ophclip.evaluation.copies import look_for_copies
from ophclip.evaluation.leakage import Evidence, Finding, Leakage, read_leakage
from ophclip.models.training_record import TrainingRecord
from ophclip.simulate.config import Site
from ophclip.simulate.draw import stream
from ophclip.simulate.language import Procedure
from ophclip.simulate.planning import plan
from ophclip.simulate.scene import Scene

Picture = NDArray[np.uint8]
Video = list[tuple[float, Picture]]


def filmed(index: int, seconds: int = 12, per_second: int = 1) -> Video:
    scene = Scene(plan(0, Site.A, "silent", index, procedure=Procedure.PHACO, pace=1.0), stream(index, "t"), 160, 120)
    return [(tick / per_second, scene.render(20.0 + tick / per_second)) for tick in range(seconds * per_second)]


def recoded(pixels: Picture) -> Picture:
    data = cv2.imencode(".jpg", cv2.resize(pixels, (120, 90)), [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def cropped(pixels: Picture) -> Picture:
    return recoded(pixels[10:108, 12:150])


def mirrored(pixels: Picture) -> Picture:
    return np.ascontiguousarray(pixels[:, ::-1])


def upside_down(pixels: Picture) -> Picture:
    return np.ascontiguousarray(pixels[::-1, ::-1])


def turned(pixels: Picture) -> Picture:
    turn = cv2.getRotationMatrix2D((80, 60), 7.0, 1.0)
    return np.asarray(cv2.warpAffine(pixels, turn, (160, 120)), np.uint8)


def as_copied(video: Video, change: Callable[[Picture], Picture]) -> Video:
    return [(second, change(pixels)) for second, pixels in video]


@pytest.fixture(scope="module")
def videos() -> list[Video]:
    return [filmed(index) for index in range(5)]


def corpus_of(folder: Path, marks: Mapping[str, Fingerprint]) -> Path:
    """A training corpus that holds these fingerprints."""
    write_corpus(folder)
    with Manifest(folder / "manifest.sqlite") as manifest:
        for name, mark in marks.items():
            row = VideoRow(
                video_id=name, path="", source_relative=name, sha256=f"sha {name}", stamp="1", state=State.DONE
            )
            manifest.finish(row, Outcome(fingerprint=mark.to_bytes()))
    return folder


def looked(corpus: Path, marks: Mapping[str, Fingerprint], record: TrainingRecord | None = None) -> Leakage:
    return look_for_copies(record, corpus, {name: f"sha of {name}" for name in marks}, lambda _model: marks)


def test_recoded_cropped_and_mirrored_copies_are_found_and_other_operations_are_not(
    videos: list[Video], tmp_path: Path
) -> None:
    corpus = corpus_of(tmp_path, {f"t{place}": fingerprint(video) for place, video in enumerate(videos[:3])})
    evaluated = {
        "recoded": fingerprint(as_copied(videos[0], recoded)),
        "cropped": fingerprint(as_copied(videos[1], cropped)),
        "t2": fingerprint(as_copied(videos[2], mirrored)),  # a copy may have the name of its original
        "t1": fingerprint(videos[3]),  # another operation with the name of one
        "other": fingerprint(videos[4]),
    }
    found = looked(corpus, evaluated)
    assert found.finding is Finding.SEEN
    assert [(one.video_id, one.of, one.evidence) for one in found.seen] == [
        ("recoded", "t0", Evidence.PICTURES),
        ("cropped", "t1", Evidence.PICTURES),
        ("t2", "t2", Evidence.PICTURES),
        ("t1", "t1", Evidence.NAME),
    ]
    details = {one.video_id: one.detail for one in found.seen}
    assert "cropped" in details["cropped"]
    assert "mirrored" in details["t2"]
    assert found.told == "made on videos that the model was trained on: recoded, cropped, t2 (3 of 5)"
    assert found.checked_by == (Evidence.CONTENT, Evidence.PICTURES, Evidence.NAME)
    assert found.reason.endswith("has none; ingest it again with duplicates.model=efficientnet_lite0")
    assert (found.thresholds["max_distance"], found.thresholds["min_share"]) == (4.0, 0.6)
    assert read_leakage(found.to_json()) == found


def test_the_same_bytes_are_the_stronger_evidence(videos: list[Video], tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, {"t0": fingerprint(videos[0])})
    found = look_for_copies(None, corpus, {"x": "sha t0"}, lambda _model: {"x": fingerprint(videos[0])})
    assert [one.evidence for one in found.seen] == [Evidence.CONTENT]


def test_a_corpus_that_lacks_a_training_video_does_not_count_as_checked(videos: list[Video], tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, {"t0": fingerprint(videos[0])})
    record = TrainingRecord(corpus="c", videos={"t0": "sha t0", "lost": "sha lost"})
    found = looked(corpus, {"other": fingerprint(videos[4])}, record)
    assert found.checked_by == (Evidence.CONTENT, Evidence.NAME)
    assert found.finding is Finding.UNSEEN
    assert found.told.startswith("none of 1 videos is among the 2 trained on, by content, name; pictures were not all")
    assert "lacks fingerprints of training videos" in found.reason
    short = looked(corpus, {"other": fingerprint(videos[4][:3])}, replace(record, videos={"t0": "sha t0"}))
    assert Evidence.PICTURES not in short.checked_by, "three pictures are not compared"
    assert short.reason.endswith("a video is too short")


class Colours:
    """Vectors as wide as those of EfficientNet-Lite0 that know which colours a picture has, not where."""

    def embed(self, pixels_thwc: Sequence[Picture]) -> NDArray[np.float32]:
        bins = [np.linspace(0, 256, count) for count in (5, 5, 6)]
        counts = [np.sqrt(np.histogramdd(pixels.reshape(-1, 3), bins)[0].ravel()) for pixels in pixels_thwc]
        return np.stack([one / np.linalg.norm(one) for one in counts]).astype(np.float32)


def test_vectors_find_a_copy_that_pictures_miss_if_the_corpus_has_them(tmp_path: Path) -> None:
    video = filmed(0, 42)
    asked: list[str] = []

    def marks(embedder: Embedder | None) -> Mapping[str, Fingerprint]:
        return {"x": fingerprint(as_copied(video, upside_down), embedder)}

    with_vectors = corpus_of(tmp_path / "with", {"t0": fingerprint(video, Colours())})
    without = corpus_of(tmp_path / "without", {"t0": fingerprint(video)})
    found = look_for_copies(None, with_vectors, {"x": "s"}, lambda model: asked.append(model) or marks(Colours()))
    assert asked == [LITE]
    assert [(one.of, one.evidence) for one in found.seen] == [("t0", Evidence.VECTORS)]
    assert Evidence.VECTORS in found.checked_by
    missed = look_for_copies(None, without, {"x": "s"}, lambda model: asked.append(model) or marks(None))
    assert asked == [LITE, ""]
    assert (missed.seen, Evidence.VECTORS in missed.checked_by) == ((), False)


@pytest.mark.slow
def test_vectors_of_the_real_model_tell_operations_apart(tmp_path: Path) -> None:
    from ingest.config.pictures import DuplicatesConfig

    embedder = build_embedder(DuplicatesConfig(model=LITE))
    operations = [filmed(index, 45, 2) for index in range(4)]
    corpus = corpus_of(tmp_path, {f"t{n}": fingerprint(operations[n], embedder) for n in range(2)})
    evaluated = {
        "turned": fingerprint(as_copied(operations[0], lambda pixels: recoded(turned(pixels))), embedder),
        "mirrored": fingerprint(as_copied(operations[1], mirrored), embedder),
        "other": fingerprint(operations[2], embedder),
        "another": fingerprint(operations[3], embedder),
    }
    found = looked(corpus, evaluated)
    assert [(one.video_id, one.of) for one in found.seen] == [("turned", "t0"), ("mirrored", "t1")]
    assert found.seen[0].evidence is Evidence.VECTORS
    assert Evidence.VECTORS in found.checked_by
