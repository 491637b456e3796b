"""Where hits begin and end: by their own videos' curves, however many are asked for; against a slow float64 reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ophclip.search.catalogue import CATALOGUE_NAME, FORMAT, Catalogue
from ophclip.search.entries import Level, SpanEntry, VideoEntry
from ophclip.search.filters import Filters
from ophclip.search.hits import MERGED_WINDOWS, Hit
from ophclip.search.index import SearchIndex, open_index
from ophclip.search.vectors import save_tables

DIM, WINDOWS, LENGTH, STRIDE = 8, 40, 4.0, 2.0
ABOUT = {
    "format": FORMAT, "dim": str(DIM), "window_seconds": f"{LENGTH:g}", "stride_seconds": f"{STRIDE:g}", "fps": "2",
    "bundle": "bundle", "weights_sha256": "0" * 64, "model": "tiny", "thumbnail_width_px": "320",
}  # fmt: skip
KINDS = ("noise", "walk", "plateaus", "still", "short")


class Place(NamedTuple):
    opened: SearchIndex
    vectors: dict[str, NDArray[np.float32]]


class Stretch:
    def __init__(self, video: str, window: int, score: float, least: float) -> None:
        self.video, self.window, self.score, self.least = video, window, score, least
        self.ground, self.told = span(window), span(window)


def span(window: int) -> tuple[float, float]:
    return window * STRIDE, window * STRIDE + LENGTH


def hull(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


def gap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(one[0] - other[1], other[0] - one[1])


def made(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit vectors of one video: unlike one another, changing slowly, in shots, all the same, or few."""
    steps = rng.normal(size=(3 if kind == "short" else WINDOWS, DIM))
    rows = {
        "walk": lambda: np.cumsum(steps, axis=0),
        "plateaus": lambda: np.repeat(steps[:5], 8, axis=0),
        "still": lambda: np.repeat(steps[:1], WINDOWS, axis=0),
    }.get(kind, lambda: steps)()
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("index")
    vectors = {f"{kind}{number}": made(kind, rng) for kind in KINDS for number in range(2)}
    with Catalogue.create(folder / CATALOGUE_NAME, ABOUT) as catalogue:
        for video, rows in vectors.items():
            entry = VideoEntry(
                video_id=video, path=f"{video}.mp4", sha256=video, duration_seconds=span(len(rows) - 1)[1],
                title=video, narrated=False, attributes={"kind": (video[:-1],)},
            )  # fmt: skip
            spans = [
                SpanEntry(span_id=f"{video}/{window}", video_id=video, level=Level.WINDOW,
                          start_seconds=span(window)[0], end_seconds=span(window)[1], narrations=(f"said {window}",))
                for window in range(len(rows))
            ]  # fmt: skip
            catalogue.put(entry, [(one, b"") for one in spans], {Level.WINDOW: rows})
        save_tables(catalogue, folder)
    with open_index(folder) as index:
        yield Place(index, vectors)


def reference(vectors: dict[str, NDArray[np.float32]], query_d: NDArray[np.float32]) -> list[Stretch]:
    """All stretches of some videos, each window compared with every stretch there is."""
    scores = {video: rows.astype(np.float64) @ query_d.astype(np.float64) for video, rows in vectors.items()}
    ranking = sorted(
        (-round(float(score), 6), video, window)
        for video, scores_w in scores.items()
        for window, score in enumerate(scores_w)
    )
    found: list[Stretch] = []
    for minus_score, video, window in ranking:
        near = [one for one in found if one.video == video and gap(one.ground, span(window)) <= STRIDE]
        for one in near:
            wider = hull(one.ground, span(window))
            others = [other for other in found if other.video == video and other is not one]
            if wider[1] - wider[0] <= MERGED_WINDOWS * LENGTH and all(gap(wider, o.ground) >= 0 for o in others):
                one.ground = wider
                if -minus_score >= one.least:
                    one.told = hull(one.told, span(window))
                break
        else:
            if all(gap(one.ground, span(window)) >= 0 for one in near):
                background = float(np.median(scores[video]))
                found.append(Stretch(video, window, -minus_score, round((background - minus_score) / 2, 6)))
    return found


def told(hits: list[Hit]) -> list[tuple[str, float, float, float]]:
    return [(hit.hit_id, hit.start_seconds, hit.end_seconds, hit.score) for hit in hits]


def query(seed: int) -> NDArray[np.float32]:
    query_d = np.random.default_rng(seed).normal(size=DIM)
    return np.asarray(query_d / np.linalg.norm(query_d), dtype=np.float32)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 90), st.sampled_from([None, "noise", "walk", "plateaus", "still"]))
def test_spans_are_those_of_the_slow_reading(place: Place, seed: int, k: int, kind: str | None) -> None:
    filters = Filters(attributes={"kind": (kind,)}) if kind else None
    allowed = {video: rows for video, rows in place.vectors.items() if kind in (None, video[:-1])}
    hits = place.opened.search(vector=query(seed), k=k, filters=filters)
    expected = reference(allowed, query(seed))[:k]
    assert [(hit.hit_id, hit.start_seconds, hit.end_seconds) for hit in hits] == [
        (f"{one.video}/{one.window}", *one.told) for one in expected
    ]
    for hit in hits:
        first, last = round(hit.start_seconds / STRIDE), round((hit.end_seconds - LENGTH) / STRIDE)
        assert hit.narration == " ".join(f"said {window}" for window in range(first, last + 1))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60), st.sampled_from(["merge", "group", "neighbours"]))
def test_more_hits_begin_with_the_same_ones(place: Place, seed: int, fewer: int, more: int, way: str) -> None:
    fewer, more = sorted((fewer, more))

    def found(k: int, min_score: float | None = None) -> list[Hit]:
        if way == "neighbours":
            return place.opened.neighbours(f"walk0/{seed % WINDOWS}", k=k, min_score=min_score)
        return place.opened.search(vector=query(seed), k=k, min_score=min_score, group_by_video=way == "group")

    hits = found(more)
    assert told(found(fewer)) == told(hits)[:fewer]
    floor = hits[len(hits) // 2].score
    assert told(found(more, floor)) == [one for one in told(hits) if one[3] >= floor]


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_hits_are_apart_and_hold_their_best(place: Place, seed: int) -> None:
    hits = place.opened.search(vector=query(seed), k=60)
    asked = f"walk1/{seed % WINDOWS}"
    beside = place.opened.neighbours(asked, k=60)
    for one in beside:
        assert one.video_id != "walk1" or gap((one.start_seconds, one.end_seconds), span(seed % WINDOWS)) >= 0
    for found in (hits, beside):
        for number, one in enumerate(found):
            assert one.start_seconds <= one.peak_seconds - LENGTH / 2 < one.peak_seconds + LENGTH / 2 <= one.end_seconds
            assert one.end_seconds - one.start_seconds <= MERGED_WINDOWS * LENGTH
            for other in found[:number]:
                apart = gap((one.start_seconds, one.end_seconds), (other.start_seconds, other.end_seconds)) >= 0
                assert one.video_id != other.video_id or apart
