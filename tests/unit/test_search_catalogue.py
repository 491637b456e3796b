"""The index' records: whole videos or none, and queries in words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from ophclip.search.catalogue import FORMAT, Catalogue
from ophclip.search.entries import Level, SpanEntry, VideoEntry
from ophclip.search.hits import Found, best_of_each_video, merge_neighbours
from ophclip.search.queries import query_wordings
from ophclip.search.vectors import open_table, save_tables
from ophclip.search.windows import cut_windows

ABOUT = {"format": FORMAT, "dim": "3"}


def _video(sha256: str = "a" * 64) -> VideoEntry:
    return VideoEntry(
        video_id="v", path="v.mp4", sha256=sha256, duration_seconds=8.0, title="t", narrated=True,
        attributes={"license": ("CC0",), "procedure": ("cataract surgery", "phacoemulsification")},
    )  # fmt: skip


def _windows(sha256: str = "a" * 64) -> list[tuple[SpanEntry, bytes]]:
    windows = [
        SpanEntry(
            span_id=f"v/{sha256[:12]}/{start * 1000:08d}",
            video_id="v",
            level=Level.WINDOW,
            start_seconds=start,
            end_seconds=start + 4.0,
            narrations=("one", "two") if start == 0 else ("two",),
        )
        for start in (0, 2, 4)
    ]
    return [(window, b"jpeg") for window in windows]


def test_a_video_is_replaced_whole_and_vectors_follow(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    vectors = np.eye(3, dtype=np.float32)
    with Catalogue.create(path, ABOUT) as catalogue:
        catalogue.put(_video(), _windows(), {Level.WINDOW: vectors})
        save_tables(catalogue, tmp_path)
        np.testing.assert_array_equal(open_table(catalogue, Level.WINDOW, tmp_path).rows_nd, vectors)
        catalogue.put(_video("b" * 64), _windows("b" * 64)[:2], {Level.WINDOW: -vectors[:2]})
        assert [(one.start_seconds, one.end_seconds) for one in catalogue.spans("v", Level.WINDOW)] == [(0, 4), (2, 6)]
        table = open_table(catalogue, Level.WINDOW, tmp_path)
        np.testing.assert_array_equal(table.rows_nd, -vectors[:2])
        first, second = table.number_n.tolist()
        assert catalogue.narrations([first, second]) == {first: ("one", "two"), second: ("two",)}
        assert catalogue.spans_numbered([first, 10**6]).keys() == {first}
        span = catalogue.spans_numbered([second])[second]
        assert span.span_id == f"v/{'b' * 12}/00002000"
        np.testing.assert_array_equal(catalogue.vector(span), -vectors[1])
        assert catalogue.thumbnail(span.number) == b"jpeg"
        assert catalogue.videos() == {"v": _video("b" * 64)}


def test_a_put_that_fails_leaves_the_old_video(tmp_path: Path) -> None:
    twice = [_windows()[0], _windows()[0]]
    vectors = np.eye(3, dtype=np.float32)
    with Catalogue.create(tmp_path / "c.sqlite", {**ABOUT, "note": "it's"}) as catalogue:
        catalogue.put(_video(), _windows(), {Level.WINDOW: vectors})
        with pytest.raises(sqlite3.IntegrityError):
            catalogue.put(_video("b" * 64), twice, {Level.WINDOW: vectors[:2]})
        assert catalogue.videos()["v"].sha256 == "a" * 64
        assert catalogue.count(Level.WINDOW) == 3


def test_what_is_removed_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    spans = [(span, b"\xff\xd8 a picture of a patient") for span, _ in _windows()]
    with Catalogue.create(path, ABOUT) as catalogue:
        catalogue.put(_video(), spans, {Level.WINDOW: np.eye(3, dtype=np.float32)})
        assert b"a picture of a patient" in path.read_bytes()
        before = catalogue.generation
        assert catalogue.remove("v")
        assert not catalogue.remove("v")
        assert catalogue.generation != before
        assert not catalogue.videos()
    left = path.read_bytes()
    assert not any(secret in left for secret in (b"a picture of a patient", b"cataract surgery", b"v.mp4", b"two"))


def test_opening_what_is_no_index_says_so_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with pytest.raises(ValueError, match="make one with `ophclip index`"):
        Catalogue.open(path)
    path.write_text("not a database at all, though long enough to be read as the header of one " * 3)
    with pytest.raises(ValueError, match="not an index"):
        Catalogue.open(path)
    path.unlink()
    with Catalogue.create(path, ABOUT):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE about SET value = '1' WHERE key = 'format'")
    connection.close()
    with pytest.raises(ValueError, match="format 1, this version reads 2; remove the folder and make the index anew"):
        Catalogue.open(path)


def _found(video: str, start: float, score: float) -> Found:
    return Found(row=int(start), video_id=video, start_seconds=start, end_seconds=start + 4, score=score)


def test_neighbours_become_one_hit_of_the_best_score() -> None:
    ranked = [
        _found("x", 10, 0.9),
        _found("x", 12, 0.8),
        _found("y", 0, 0.7),
        _found("x", 8, 0.6),
        _found("x", 30, 0.5),
    ]
    merged = merge_neighbours(ranked, 2, window_seconds=4, gap_seconds=2)
    assert [(one.video_id, one.start_seconds, one.end_seconds, one.score) for one in merged] == [
        ("x", 8, 16, 0.9),
        ("y", 0, 4, 0.7),
    ]
    apart = [_found("x", 10, 0.9), _found("x", 16, 0.8), _found("x", 4, 0.7), _found("x", 2, 0.6), _found("x", 12, 0.5)]
    spans = [
        (one.start_seconds, one.end_seconds) for one in merge_neighbours(apart, 9, window_seconds=4, gap_seconds=2)
    ]
    assert spans == [(10, 20), (2, 8)]  # 4 to 8 would make the first too long
    spans = [
        (one.start_seconds, one.end_seconds) for one in merge_neighbours(apart, 9, window_seconds=4, gap_seconds=0)
    ]
    assert spans == [(10, 16), (16, 20), (2, 8)]
    assert [(one.video_id, one.row) for one in best_of_each_video(ranked, 5)] == [("x", 10), ("y", 0)]


def test_a_query_that_names_an_instrument_brings_what_is_known_of_it() -> None:
    plain, named = query_wordings("a  red eye"), query_wordings("Phaco tip")
    assert plain == (("a red eye", "a surgical video of a red eye", "now we see a red eye"),)
    assert len(named) == 2
    assert any("ultrasound" in sentence for sentence in named[1])
    with pytest.raises(ValueError, match="the query is empty"):
        query_wordings("  ")


def test_windows_of_short_and_uneven_videos() -> None:
    spans = [
        [(part.start_seconds, part.end_seconds, part.first, part.stop) for part in cut_windows(
            seconds, fps=2.0, window_seconds=4.0, stride_seconds=2.0)]
        for seconds in (1.2, 4.0, 7.0)
    ]  # fmt: skip
    assert spans == [[(0, 1.2, 0, 3)], [(0, 4, 0, 8)], [(0, 4, 0, 8), (2, 6, 4, 12), (3, 7, 6, 14)]]
