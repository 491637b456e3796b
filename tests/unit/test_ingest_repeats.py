"""Repeats are looked for when something is new, among all videos, and not otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest import repeats
from ingest.config import IngestConfig
from ingest.config.pictures import DuplicatesConfig
from ingest.manifest import Manifest, Outcome, State, VideoRow
from ingest.pictures import duplicates
from ingest.pictures.fingerprint import FREQUENCIES, Fingerprint
from ingest.repeats import refuse_repeats

CONFIG = IngestConfig()


def mark(seed: int) -> bytes:
    """Of twelve pictures of noise: two seeds have nothing in common."""
    spectra = np.random.default_rng(seed).normal(size=(12, FREQUENCIES, FREQUENCIES)).astype(np.float16)
    return Fingerprint(seconds=np.arange(12.0), spectra=spectra).to_bytes()


def enter(manifest: Manifest, video_id: str, seed: int) -> None:
    row = VideoRow(
        video_id=video_id, path=f"/x/{video_id}", source_relative=video_id, sha256=video_id, stamp="1:2", recipe="r"
    )
    manifest.finish(replace(row, state=State.DONE, duration_seconds=12.0), Outcome(fingerprint=mark(seed)))


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    with Manifest(tmp_path / "manifest.sqlite") as manifest:
        for place, seed in enumerate((1, 2, 3)):
            enter(manifest, f"v{place}", seed)
        yield manifest


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The new videos of each comparison, as it went on."""
    told: list[list[str]] = []

    def matches(videos: Any, news: Any, config: DuplicatesConfig) -> Any:
        told.append(sorted(news))
        return found(videos, news, config)

    found = duplicates.matches
    monkeypatch.setattr(repeats, "matches", matches)
    return told


def states(manifest: Manifest) -> dict[str, State]:
    return {row.video_id: row.state for row in manifest.videos()}


def test_nothing_new_nothing_compared(manifest: Manifest, compared: list[list[str]], tmp_path: Path) -> None:
    assert refuse_repeats(manifest, {}, CONFIG) == []
    assert compared == [["v0", "v1", "v2"]]
    refuse_repeats(manifest, {}, CONFIG)
    with Manifest(tmp_path / "manifest.sqlite") as again:
        refuse_repeats(again, {}, CONFIG)
    assert len(compared) == 1
    assert set(states(manifest).values()) == {State.DONE}


def test_one_new_video_is_compared_with_all(manifest: Manifest, compared: list[list[str]]) -> None:
    refuse_repeats(manifest, {}, CONFIG)
    enter(manifest, "w", 2)
    assert refuse_repeats(manifest, {}, CONFIG) == []
    assert compared[1:] == [["w"]]
    assert states(manifest) == {"v0": State.DONE, "v1": State.DONE, "v2": State.DONE, "w": State.REJECTED}
    refuse_repeats(manifest, {}, CONFIG)
    assert len(compared) == 2, "a refused video is nothing new"


def test_another_option_or_evaluation_video_is_new(manifest: Manifest, compared: list[list[str]]) -> None:
    refuse_repeats(manifest, {}, CONFIG)
    refuse_repeats(manifest, {}, replace(CONFIG, duplicates=DuplicatesConfig(min_share=0.7)))
    refuse_repeats(manifest, {"/e": mark(3)}, CONFIG)
    assert compared == [["v0", "v1", "v2"], ["v0", "v1", "v2"], ["v0", "v1"]]
    assert states(manifest)["v2"] is State.REJECTED
    (back,) = refuse_repeats(manifest, {}, CONFIG)
    assert back.video_id == "v2"
    assert len(compared) == 4


def test_a_video_made_anew_is_new(manifest: Manifest, compared: list[list[str]]) -> None:
    enter(manifest, "w", 2)
    refuse_repeats(manifest, {}, CONFIG)
    changed = next(row for row in manifest.videos() if row.video_id == "w")
    manifest.finish(replace(changed, recipe="s", state=State.DONE, reason=""), Outcome(fingerprint=mark(4)))
    refuse_repeats(manifest, {}, CONFIG)
    assert len(compared) == 2
    assert set(states(manifest).values()) == {State.DONE}


def test_what_was_found_is_kept_until_one_of_the_two_is_made_anew_or_removed(
    manifest: Manifest, compared: list[list[str]]
) -> None:
    enter(manifest, "w", 2)
    refuse_repeats(manifest, {}, CONFIG)
    recipe = repeats._recipe(CONFIG)
    known, found = manifest.matches(recipe)
    assert known == {"v0", "v1", "v2", "w"}
    assert {frozenset(one[:2]) for one in found} == {frozenset({"v1", "w"})}
    enter(manifest, "x", 5)
    refuse_repeats(manifest, {}, CONFIG)
    assert compared == [["v0", "v1", "v2", "w"], ["x"]]
    assert states(manifest)["w"] is State.REJECTED, "found in the manifest"
    assert manifest.matches("another")[0] == set()
    manifest.remove(["v1"])
    assert manifest.matches(recipe) == (frozenset({"v0", "v2", "w", "x"}), [])
    enter(manifest, "w", 3)
    assert manifest.matches(recipe)[0] == {"v0", "v2", "x"}
    refuse_repeats(manifest, {}, CONFIG)
    assert compared[2:] == [["w"]]
    assert {frozenset(one[:2]) for one in manifest.matches(recipe)[1]} == {frozenset({"v2", "w"})}
