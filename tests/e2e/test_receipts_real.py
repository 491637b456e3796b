"""Copies of real recordings are told to have been trained on, whatever they are called; another recording is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from copied_films import copy
from small_corpus import write_corpus

from ingest.config import IngestConfig
from ingest.manifest import Manifest, Outcome, State, VideoRow
from ingest.repeats import dense_fingerprint
from ingest.shards import sha256_of
from ophclip.evaluation.leakage import Evidence, Finding, leakage_of

TRAINED = ("laparoscopy_silent", "narrated_cataract")


@pytest.mark.slow
def test_copies_of_real_training_videos_are_found_by_their_pictures(real_data: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    sampled = IngestConfig()
    sampled.shards.fps /= 8  # a corpus keeps an eighth of the pictures that an evaluated video is looked at by
    with Manifest(corpus / "manifest.sqlite") as manifest:
        for name in TRAINED:
            path = real_data / "video" / f"{name}.mp4"
            row = VideoRow(
                video_id=name, path=str(path), source_relative=path.name, sha256=sha256_of(path), stamp="1",
                state=State.DONE,
            )  # fmt: skip
            manifest.finish(row, Outcome(fingerprint=dense_fingerprint(path, sampled).to_bytes()))
    whole = (0.0, 0.0, 0.0, 0.0)
    for name in TRAINED:
        source = real_data / "video" / f"{name}.mp4"
        copy(source, tmp_path / f"{name[0]}_recoded.mp4", margins=whole, mirror=False, trim=0.0)
        copy(source, tmp_path / f"{name[0]}_cropped.mp4", margins=(0.0, 0.08, 0.13, 0.04), mirror=False, trim=1.3)
        copy(source, tmp_path / f"{name[0]}_mirrored.mp4", margins=(0.05, 0.05, 0.0, 0.0), mirror=True, trim=0.4)
    copy(real_data / "video" / "narrated_nasa.mp4", tmp_path / "other.mp4", margins=whole, mirror=False, trim=0.0)
    files = {path.stem: path for path in sorted(tmp_path.glob("*.mp4"))}
    found = leakage_of(None, {name: sha256_of(path) for name, path in files.items()}, files, corpus)
    originals = {name[0]: name for name in TRAINED}
    assert found.finding is Finding.SEEN
    assert {one.video_id: one.of for one in found.seen} == {
        name: originals[name[0]] for name in files if name != "other"
    }
    assert {one.evidence for one in found.seen} == {Evidence.PICTURES}
    assert all(("mirrored" in one.detail) == ("mirrored" in one.video_id) for one in found.seen)
    assert found.checked_by == (Evidence.CONTENT, Evidence.PICTURES, Evidence.NAME)
