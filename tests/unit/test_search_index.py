"""An open index against a naive reading of its catalogue: filters, neighbours, curves, changes, threads, mending."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ophclip.search import vectors
from ophclip.search.catalogue import CATALOGUE_NAME, FORMAT, Catalogue
from ophclip.search.entries import Level, SpanEntry, VideoEntry
from ophclip.search.filters import Filters, parse_filters
from ophclip.search.index import SearchIndex, open_index
from ophclip.search.vectors import folder_of, save_tables

DIM, VIDEOS, WINDOWS = 16, 40, 30
ABOUT = {
    "format": FORMAT, "dim": str(DIM), "window_seconds": "4", "stride_seconds": "2", "fps": "2", "bundle": "bundle",
    "weights_sha256": "0" * 64, "model": "tiny", "thumbnail_width_px": "320",
}  # fmt: skip
Vectors = Mapping[str, Mapping[Level, NDArray[np.float32]]]


def _unit(rng: np.random.Generator, rows: int) -> NDArray[np.float32]:
    made = rng.normal(size=(rows, DIM))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def _put(catalogue: Catalogue, number: int, rng: np.random.Generator) -> dict[Level, NDArray[np.float32]]:
    """A video of `WINDOWS` windows; every other one is narrated and has two clips."""
    video_id, narrated = f"v{number:03d}", number % 2 == 0
    attributes: dict[str, tuple[str, ...]] = {
        "license": ("CC0" if number % 4 else "CC BY",),
        "split": ("rare",) if number % 25 == 3 else ("common",),
    }
    if number % 3 == 0:
        attributes["procedure"] = ("cataract", "trabeculectomy")
    video = VideoEntry(
        video_id=video_id, path=f"{video_id}.mp4", sha256=f"{number:064x}", duration_seconds=2.0 * WINDOWS + 2,
        title=f"title {number}", narrated=narrated, attributes=attributes,
    )  # fmt: skip
    spans = [_span(video_id, Level.VIDEO, 0, video.duration_seconds)]
    spans += [_span(video_id, Level.WINDOW, 2.0 * place, 2.0 * place + 4) for place in range(WINDOWS)]
    spans += [_span(video_id, Level.CLIP, start, start + 5, ("said",)) for start in ((1.0, 11.0) if narrated else ())]
    rows = {level: _unit(rng, sum(one.level is level for one in spans)) for level in Level}
    catalogue.put(video, [(one, one.span_id.encode()) for one in spans], rows)
    return rows


def _span(video_id: str, level: Level, start: float, end: float, said: tuple[str, ...] = ()) -> SpanEntry:
    return SpanEntry(
        span_id=f"{video_id}/{level.value}/{start:g}", video_id=video_id, level=level, start_seconds=start,
        end_seconds=end, narrations=said,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Vectors]:
    """An index of videos whose vectors mean nothing, and the vectors."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("index")
    with Catalogue.create(folder / CATALOGUE_NAME, ABOUT) as catalogue:
        held = {f"v{number:03d}": _put(catalogue, number, rng) for number in range(VIDEOS)}
        save_tables(catalogue, folder)
    return folder, held


@pytest.fixture
def own(place: tuple[Path, Vectors], tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(place[0], tmp_path / "own"))


def _naive(held: Vectors, query_d: NDArray[np.float64], level: Level, allowed: set[str]) -> list[tuple[str, int]]:
    """(video, place) by falling float64 product."""
    scored = [
        (-float(row @ query_d), video_id, number)
        for video_id, rows in held.items() if video_id in allowed
        for number, row in enumerate(rows[level].astype(np.float64))
    ]  # fmt: skip
    return [(video_id, number) for _, video_id, number in sorted(scored)]


FILTERS = [
    (Filters(), range(VIDEOS)),
    (Filters(narrated=True), range(0, VIDEOS, 2)),
    (Filters(attributes={"split": ("rare",)}), (3, 28)),
    (Filters(attributes={"procedure": ("trabeculectomy",), "license": ("CC BY",)}), range(0, VIDEOS, 12)),
    (Filters(attributes={"license": ("CC BY", "CC0")}, narrated=False), range(1, VIDEOS, 2)),
    (Filters(video_ids=("v007", "v008"), narrated=False), (7,)),
    (Filters(video_ids=("v001",), narrated=True), ()),
]


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize(("filters", "numbers"), FILTERS)
@pytest.mark.parametrize("exact_up_to", [10**6, 100])
def test_filters_come_before_the_search(
    place: tuple[Path, Vectors],
    monkeypatch: pytest.MonkeyPatch,
    *,
    level: Level,
    filters: Filters,
    numbers: Sequence[int],
    exact_up_to: int,
) -> None:
    monkeypatch.setattr(vectors, "EXACT_UP_TO", exact_up_to)
    folder, held = place
    allowed = {f"v{number:03d}" for number in numbers}
    query_d = np.random.default_rng(1).normal(size=DIM)
    with open_index(folder) as index:
        hits = index.search(vector=query_d, k=10, merge=False, filters=filters, level=level)
        known = {span.span_id: (span.video_id, place) for video_id in held
                 for place, span in enumerate(index._catalogue.spans(video_id, level))}  # fmt: skip
    expected = _naive(held, query_d, level, allowed)[:10]
    if exact_up_to == 100 and filters == Filters() and level is Level.WINDOW:
        assert len({known[hit.hit_id] for hit in hits} & set(expected)) >= 7  # inverted lists
        return
    assert [known[hit.hit_id] for hit in hits] == expected
    assert all(hit.level is level for hit in hits)


def test_a_filter_of_what_is_not_there_says_what_is(place: tuple[Path, Vectors]) -> None:
    with open_index(place[0]) as index:
        facets = index.facets()
        assert facets["procedure"] == {"cataract": 14, "trabeculectomy": 14}
        assert facets["split"] == {"common": 38, "rare": 2}
        for filters, told in (
            (Filters(attributes={"site": ("A",)}), "no attribute 'site'; the videos have license, procedure, split"),
            (Filters(attributes={"split": ("test",)}), "no video has split='test'; there is common, rare"),
            (Filters(video_ids=("w",)), "no video 'w' in the index; it holds v000, .* and 28 more"),
        ):
            with pytest.raises(ValueError, match=told):
                index.search(vector=np.ones(DIM), filters=filters)
    assert parse_filters(["license=CC0", "license=CC BY", "narrated=no", "video=v001"]) == Filters(
        video_ids=("v001",), narrated=False, attributes={"license": ("CC0", "CC BY")}
    )
    for word in ("license", "=x", "license=", "narrated=maybe"):
        with pytest.raises(ValueError, match="filter: "):
            parse_filters([word])


def test_more_like_this_leaves_out_what_overlaps(place: tuple[Path, Vectors]) -> None:
    folder, held = place
    with open_index(folder) as index:
        seen = index.neighbours("v003/window/10", k=20, merge=False)
        assert not any(hit.video_id == "v003" and hit.start_seconds < 14 and hit.end_seconds > 10 for hit in seen)
        query_d = held["v003"][Level.WINDOW][5].astype(np.float64)
        naive = _naive(held, query_d, Level.WINDOW, set(held))
        expected = [one for one in naive if one not in {("v003", number) for number in (4, 5, 6)}][:20]
        assert [(hit.video_id, round(hit.start_seconds / 2)) for hit in seen] == expected
        assert {hit.level for hit in index.neighbours("v002/clip/1", k=3, level="video")} == {Level.VIDEO}
        assert len(index.neighbours("v003/window/10", k=50, group_by_video=True)) == VIDEOS
        with pytest.raises(ValueError, match="no such hit in the index"):
            index.neighbours("v003/window/11")


def test_a_curve_and_the_vectors_of_one_video(place: tuple[Path, Vectors]) -> None:
    folder, held = place
    with open_index(folder) as index:
        query_d = index.query_vector(vector=np.arange(DIM))
        curve = index.curve(query_d, "v007")
        np.testing.assert_allclose(curve.scores_w, held["v007"][Level.WINDOW] @ query_d, rtol=1e-5, atol=1e-6)
        spans, vectors_wd = index.window_vectors("v007")
        assert spans == list(zip(curve.start_seconds_w, curve.end_seconds_w, strict=True))
        np.testing.assert_array_equal(vectors_wd, held["v007"][Level.WINDOW])
        assert index.thumbnail("v007/window/10") == b"v007/window/10"
        assert index.media_path("v007") == (folder / "v007.mp4").resolve()
        for video_id in ("nobody", "../v007"):
            with pytest.raises(ValueError, match="no such video in the index"):
                index.media_path(video_id)
        assert [video.video_id for video in index.videos()] == sorted(held)


def test_what_is_removed_is_found_no_more_here_or_elsewhere(own: Path) -> None:
    folder = own
    with open_index(folder) as index, open_index(folder) as elsewhere:
        index.remove("v010")
        assert len(index) == (VIDEOS - 1) * WINDOWS
        for opened in (index, elsewhere):  # the other one holds its vectors still, but not its records
            hits = opened.search(vector=np.ones(DIM), k=VIDEOS * WINDOWS, merge=False)
            assert "v010" not in {hit.video_id for hit in hits}
            assert len(hits) == (VIDEOS - 1) * WINDOWS
        with pytest.raises(ValueError, match="no such video"):
            index.remove("v010")
        for path in folder.rglob("*"):
            assert path.is_dir() or b"v010" not in path.read_bytes(), path
        for number in [*range(10), *range(11, VIDEOS)]:
            index.remove(f"v{number:03d}")
        assert index.search(vector=np.ones(DIM)) == []
    with pytest.raises(ValueError, match="holds no video"):
        open_index(folder)


def test_files_that_are_older_than_the_catalogue_are_not_believed(place: tuple[Path, Vectors], own: Path) -> None:
    """As a crash leaves them that comes between the catalogue's commit and the writing of the files."""
    folder, held = own, place[1]
    with Catalogue.create(folder / CATALOGUE_NAME, {}) as catalogue:
        new = _put(catalogue, 5, np.random.default_rng(9))
        catalogue.remove("v000")
    with open_index(folder) as index:
        best = index.search(vector=new[Level.WINDOW][3], k=1, merge=False)[0]
        assert (best.video_id, best.start_seconds) == ("v005", 6.0)
        assert best.score == pytest.approx(1)
        assert len(index) == (VIDEOS - 1) * WINDOWS
    head = folder_of(folder, Level.WINDOW) / "spans.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "generation": "x"}))
    with open_index(folder) as index:
        np.testing.assert_array_equal(index.window_vectors("v007")[1], held["v007"][Level.WINDOW])


def test_many_threads_read_while_one_changes(place: tuple[Path, Vectors], own: Path) -> None:
    folder, held = own, place[1]
    wrong: list[str] = []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(15):
                number = int(rng.integers(20, VIDEOS))
                video_id = f"v{number:03d}"
                row = int(rng.integers(WINDOWS))
                hit = index.search(vector=held[video_id][Level.WINDOW][row], k=1, merge=False)[0]
                if (hit.video_id, hit.start_seconds, hit.thumbnail_jpeg) != (video_id, 2.0 * row, hit.hit_id.encode()):
                    wrong.append(f"{hit.hit_id} for {video_id} {row}")
                if index.thumbnail(f"{video_id}/window/4") != f"{video_id}/window/4".encode():
                    wrong.append(f"the picture of {video_id}")
                index.curve(held[video_id][Level.VIDEO][0], video_id)
        except Exception as error:  # noqa: BLE001 whatever a thread raises is told below
            wrong.append(repr(error))

    with open_index(folder) as index:
        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for number in range(6):
            index.remove(f"v{number:03d}")
        for thread in threads:
            thread.join()
    assert wrong == []


def test_options_out_of_range(place: tuple[Path, Vectors]) -> None:
    with open_index(place[0]) as index:
        for options, told in (({"k": 0}, "k is 0"), ({"level": "phase"}, "expected window, clip, video")):
            with pytest.raises(ValueError, match=told):
                index.search(vector=np.ones(DIM), **options)
        assert index.search(vector=np.ones(DIM), min_score=2.0, k=400) == []
        assert isinstance(index, SearchIndex)
        hits = index.search(vector=np.ones(DIM), k=VIDEOS * 3)
        assert all(hit.end_seconds - hit.start_seconds <= 12 for hit in hits)
        assert len(hits) == len({(hit.video_id, hit.start_seconds) for hit in hits})
        assert replace(hits[0], probability=None) == hits[0]


def test_what_is_wrong_is_told_before_a_query_is_encoded(place: tuple[Path, Vectors]) -> None:
    """The bundle is not there: whoever asked for it first would complain of that."""
    with open_index(place[0]) as opened:
        for options, told in (
            ({"k": 0}, "k is 0"),
            ({"level": "frame"}, "level is 'frame'"),
            ({"k": 2.5}, "k is 2.5"),
            ({"min_score": float("nan")}, "min_score is no number"),
            ({"filters": {"split": "rare"}}, "filters are dict"),
            ({"filters": Filters(attributes={"site": ("A",)})}, "no attribute 'site'"),
        ):
            with pytest.raises(ValueError, match=told):
                opened.search(text="lens injector", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "vector",
    [np.zeros(DIM), np.full(DIM, np.nan), np.full(DIM, 1j), np.full(DIM, "a"), np.ones(DIM + 1), np.ones((1, DIM))],
    ids=["zeros", "nan", "complex", "words", "longer", "two dimensions"],
)
def test_what_is_no_direction_is_refused(place: tuple[Path, Vectors], vector: NDArray[np.float64]) -> None:
    with open_index(place[0]) as opened, pytest.raises(ValueError, match=f"expected {DIM} finite numbers, not all"):
        opened.search(vector=vector)


def test_a_vector_may_have_any_length(place: tuple[Path, Vectors]) -> None:
    direction = np.random.default_rng(1).normal(size=DIM)
    with open_index(place[0]) as opened:
        found = [opened.search(vector=direction * length, k=3) for length in (1.0, 1e-300, 1e300)]
    assert [hit.hit_id for hit in found[0]] == [hit.hit_id for hit in found[1]] == [hit.hit_id for hit in found[2]]


@pytest.mark.parametrize("text", [5, b"lens", "\ud800"])
def test_what_is_no_text_is_refused(place: tuple[Path, Vectors], text: object) -> None:
    with open_index(place[0]) as opened, pytest.raises(ValueError, match="expected words as a str"):
        opened.search(text=text)  # type: ignore[arg-type]


def test_a_single_text_is_no_list_of_them() -> None:
    with pytest.raises(ValueError, match="'v001' is a single text"):
        Filters(video_ids="v001")  # type: ignore[arg-type]


def test_an_index_without_one_of_its_files_is_refused_in_one_line(own: Path) -> None:
    files = [path for path in own.rglob("*") if path.is_file()]
    assert len(files) == 1 + len(Level) * 6
    for path in files:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(ValueError, match="no such file") as told:
            open_index(own)
        assert path.name in str(told.value)
        assert "\n" not in str(told.value)
        path.write_bytes(content)
    open_index(own).close()
