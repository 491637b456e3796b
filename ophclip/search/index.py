"""A search index, open: `open_index(folder).search(text="phaco handpiece")`."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ophclip.progress import Progress
from ophclip.search.asking import Asker
from ophclip.search.calibration import read_calibration
from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
from ophclip.search.contents import Contents
from ophclip.search.entries import Level, SpanEntry, VideoEntry
from ophclip.search.filters import Filters
from ophclip.search.hits import Found, Hit, best_of_each_video, merge_neighbours
from ophclip.search.queries import instrument_named
from ophclip.search.ranking import is_apart, ranked_spans, with_spans

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded
    from ophclip.models.inputs import Picture
    from ophclip.search.build import IndexSummary

_SPANS_A_HIT = 12
"""Spans looked at first for each hit: several merge into one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """How similar every window of one video, W of them, is to a query."""

    start_seconds_w: NDArray[np.float64]
    end_seconds_w: NDArray[np.float64]
    scores_w: NDArray[np.float32]


class SearchIndex:
    """Windows, clips and whole videos of an index folder. The bundle is loaded when a query first needs it.

    Reading is safe from several threads. `add` and `remove` change the folder, and what is found from then on.
    """

    def __init__(self, folder: Path | str, bundle: Path | str | Loaded | None = None) -> None:
        folder = Path(folder)
        self.folder = folder
        self._catalogue = Catalogue.open(folder / CATALOGUE_NAME)
        self._contents = Contents(self._catalogue, folder)
        if not self._contents.videos:
            self._catalogue.close()
            raise ValueError(f"{folder}: holds no video; add some with `ophclip index`")
        given = Path(bundle) if isinstance(bundle, str) else bundle
        self._changing = threading.Lock()
        self.calibration = read_calibration(folder, self.about["weights_sha256"])
        """What is known of scores, if `ophclip calibrate` was run."""
        self._asker = Asker(folder, self._catalogue.about, given)

    def __enter__(self) -> SearchIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalogue's file."""
        self._catalogue.close()

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._contents.tables[Level.WINDOW])

    @property
    def about(self) -> Mapping[str, str]:
        """What the index was made with: `model`, `weights_sha256`, `dim`, `window_seconds`, `fps`, ..."""
        return self._catalogue.about

    @property
    def loaded(self) -> Loaded:
        """The bundle that made the index: given, or found where the index remembers it.

        Raises:
            ValueError: it is not there any more, or has other weights.
        """
        return self._asker.loaded

    def videos(self) -> tuple[VideoEntry, ...]:
        """All videos, by id."""
        return self._contents.videos

    def facets(self) -> dict[str, dict[str, int]]:
        """Attribute -> value -> how many videos have it: what `Filters.attributes` may ask for."""
        return self._contents.facets.counts()

    def media_path(self, video_id: str) -> Path:
        """Where the file of an indexed video lies.

        Raises:
            ValueError: no such video.
        """
        contents = self._contents
        return contents.path(contents.videos[contents.owner(video_id)])

    def query_vector(
        self,
        *,
        text: str | None = None,
        image: Path | str | Picture | None = None,
        video: Path | str | None = None,
        vector: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """The unit vector [D] that `search` would compare; the arguments are the same."""
        return self._asker.vector(text=text, image=image, video=video, vector=vector)

    def search(
        self,
        *,
        text: str | None = None,
        image: Path | str | Picture | None = None,
        video: Path | str | None = None,
        vector: NDArray[Any] | None = None,
        k: int = 5,
        filters: Filters | None = None,
        min_score: float | None = None,
        group_by_video: bool = False,
        merge: bool = True,
        level: Level | str = Level.WINDOW,
    ) -> list[Hit]:
        """The `k` stretches of video nearest to one query, best first.

        Args:
            text: words; an instrument's name is looked up with its synonyms.
            image: a picture file, a PIL picture, or uint8 RGB [H, W, 3].
            video: a video file, searched by all of its frames pooled.
            vector: a vector [D] of the bundle's space, of any length.
            k: how many; fewer come back if there are no more.
            filters: which videos may be found.
            min_score: hits with a lower cosine are left out.
            group_by_video: only the best span of each video.
            merge: neighbouring windows become one hit; else every window is a hit of its own.
            level: `window`, `clip` for narrated clips, or `video` to compare whole videos.

        Raises:
            ValueError: not exactly one query, a query that cannot be read, or an option out of range.
        """
        self._require(k, filters, level, min_score)  # before a query is encoded, for which torch is loaded
        query_d = self.query_vector(text=text, image=image, video=video, vector=vector)
        hits = self._search(query_d, k, filters, min_score, group_by_video=group_by_video, merge=merge, level=level)
        if text is None or self.calibration is None or level != Level.WINDOW:
            return hits
        label = instrument_named(text)
        return [replace(hit, probability=self.calibration.probability(label, hit.score)) for hit in hits]

    def neighbours(
        self,
        hit_id: str,
        k: int = 5,
        filters: Filters | None = None,
        min_score: float | None = None,
        *,
        group_by_video: bool = False,
        merge: bool = True,
        level: Level | str = Level.WINDOW,
    ) -> list[Hit]:
        """More like a hit: as `search` with the vector of the span `hit_id`, without what overlaps that span.

        Raises:
            ValueError: there is no such hit, or an option is out of range.
        """
        self._require(k, filters, level, min_score)
        span = self._span(hit_id)
        return self._search(
            self._catalogue.vector(span),
            k,
            filters,
            min_score,
            group_by_video=group_by_video,
            merge=merge,
            level=level,
            apart_from=span,
        )

    def vector(self, hit_id: str) -> NDArray[np.float32]:
        """The unit vector [D] of the span `hit_id`.

        Raises:
            ValueError: there is no such hit.
        """
        return self._catalogue.vector(self._span(hit_id))

    def curve(self, query_d: NDArray[np.float32], video_id: str) -> Curve:
        """How similar every window of one video is to a query, unit vector [D].

        Raises:
            ValueError: no such video.
        """
        contents = self._contents
        table = contents.tables[Level.WINDOW]
        rows = table.rows_of(contents.owner(video_id))
        return Curve(
            start_seconds_w=np.array(table.start_n[rows]),
            end_seconds_w=np.array(table.end_n[rows]),
            scores_w=table.rows_nd[rows] @ np.asarray(query_d, dtype=np.float32),
        )

    def window_vectors(self, video_id: str) -> tuple[list[tuple[float, float]], NDArray[np.float32]]:
        """Spans (start, end) in seconds and unit vectors [W, D] of the windows of a video.

        Raises:
            ValueError: no such video.
        """
        contents = self._contents
        table = contents.tables[Level.WINDOW]
        rows = table.rows_of(contents.owner(video_id))
        spans = zip(table.start_n[rows].tolist(), table.end_n[rows].tolist(), strict=True)
        return list(spans), np.array(table.rows_nd[rows])

    def thumbnail(self, hit_id: str) -> bytes:
        """The picture of a hit as JPEG.

        Raises:
            ValueError: there is no such hit.
        """
        return self._catalogue.thumbnail(self._span(hit_id).number)

    def add(
        self,
        *,
        corpus: Path | str | None = None,
        videos: Path | str | None = None,
        progress: Progress | None = None,
    ) -> IndexSummary:
        """Index what is new in a corpus, a folder, or both.

        Raises:
            ValueError: nothing to index, or nothing that could be indexed.
        """
        from ophclip.search.build import add_to_index  # brings the manifest, which a search has no use for

        with self._changing:
            given = {name: None if one is None else Path(one) for name, one in (("corpus", corpus), ("videos", videos))}
            summary = add_to_index(self.folder, self.loaded, **given, progress=progress)
            self._contents = Contents(self._catalogue, self.folder)
        return summary

    def remove(self, video_id: str) -> None:
        """Drop a video from the index: records, pictures, vectors; its file stays where it is.

        Raises:
            ValueError: no such video.
        """
        from ophclip.search.build import remove_video

        with self._changing:
            self._contents.owner(video_id)
            remove_video(self.folder, video_id)
            self._contents = Contents(self._catalogue, self.folder)

    def _search(
        self,
        query_d: NDArray[np.float32],
        k: int,
        filters: Filters | None,
        min_score: float | None,
        *,
        group_by_video: bool,
        merge: bool,
        level: Level | str,
        apart_from: SpanEntry | None = None,
    ) -> list[Hit]:
        contents = self._contents
        allowed_v = contents.facets.allowed(filters) if filters else None
        merges = merge and level == Level.WINDOW and not group_by_video
        floor = -math.inf if min_score is None else min_score
        fetch = k * _SPANS_A_HIT
        while True:
            rows, scores = contents.tables[Level(level)].search(query_d, fetch, allowed_v)
            ranked = ranked_spans(contents, Level(level), rows, scores)
            kept = [
                one for one in ranked if (min_score is None or one.score >= min_score) and is_apart(one, apart_from)
            ]
            cut = self._cut(kept, k, group_by_video=group_by_video, merge=merges)
            if len(cut) == k or len(ranked) < fetch or ranked[-1].score < floor:
                break
            fetch *= 4
        if merges:
            cut = with_spans(contents, cut, query_d, apart_from, **self._lengths)
        return self._hits(contents, cut, Level(level))

    def _require(self, k: int, filters: Filters | None, level: Level | str, min_score: float | None) -> None:
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"search: k is {k!r} and must be a whole number, at least 1")
        if min_score is not None and math.isnan(min_score):
            raise ValueError("search: min_score is no number; expected a cosine such as 0.2, or nothing")
        if filters is not None and not isinstance(filters, Filters):
            raise ValueError(f"search: filters are {type(filters).__name__}; expected ophclip.search.filters.Filters")
        if level not in tuple(Level):
            raise ValueError(f"search: level is {level!r}; expected {', '.join(Level)}")
        if filters:
            self._contents.facets.allowed(filters)

    def _cut(self, ranked: Sequence[Found], k: int, *, group_by_video: bool, merge: bool) -> list[Found]:
        if group_by_video:
            return best_of_each_video(ranked, k)
        return merge_neighbours(ranked, k, background=math.inf, **self._lengths) if merge else list(ranked[:k])

    @property
    def _lengths(self) -> dict[str, float]:
        about = self.about
        return {"window_seconds": float(about["window_seconds"]), "gap_seconds": float(about["stride_seconds"])}

    def _hits(self, contents: Contents, cut: Sequence[Found], level: Level) -> list[Hit]:
        """Without those whose video was removed by another process meanwhile."""
        numbers = [int(contents.tables[level].number_n[one.row]) for one in cut]
        bests = self._catalogue.spans_numbered(numbers)
        pictures = self._catalogue.thumbnails(numbers)
        insides = [contents.windows_within(one.video_id, one.start_seconds, one.end_seconds) for one in cut]
        said = {} if level is Level.CLIP else self._catalogue.narrations([one for inside in insides for one in inside])
        hits = []
        for one, number, inside in zip(cut, numbers, insides, strict=True):
            if (best := bests.get(number)) is not None:
                lines = best.narrations if level is Level.CLIP else [line for w in inside for line in said.get(w, ())]
                hits.append(self._hit(contents, one, best, lines, pictures.get(number, b"")))
        return hits

    @staticmethod
    def _hit(contents: Contents, found: Found, best: SpanEntry, lines: Iterable[str], thumbnail_jpeg: bytes) -> Hit:
        video = contents.by_id[found.video_id]
        return Hit(
            hit_id=best.span_id,
            video_id=found.video_id,
            path=contents.path(video),
            start_seconds=found.start_seconds,
            end_seconds=found.end_seconds,
            peak_seconds=(best.start_seconds + best.end_seconds) / 2,
            score=found.score,
            probability=None,
            level=best.level,
            narration=" ".join(dict.fromkeys(lines)),
            title=video.title,
            license=video.license,
            thumbnail_jpeg=thumbnail_jpeg,
        )

    def _span(self, hit_id: str) -> SpanEntry:
        span = self._catalogue.span_named(hit_id)
        if span is None:
            raise ValueError(f"{hit_id!r}: no such hit in the index; give the hit_id of a hit that `search` returned")
        return span


def open_index(folder: Path | str, bundle: Path | str | Loaded | None = None) -> SearchIndex:
    """Open an index for searching; `bundle` only if the one that made it lies elsewhere now.

    Raises:
        ValueError: there is no index, or it is damaged.
    """
    return SearchIndex(folder, bundle)
