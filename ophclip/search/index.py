"""A search index, open: `open_index(folder).search(text="phaco handpiece")`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.vectors import unit
from ophclip.models.description import read_description
from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue, Table
from ophclip.search.hits import Found, Hit, best_of_each_video, merge_overlapping
from ophclip.search.queries import query_wordings, wordings_vector
from ophclip.search.vectors import TABLES, vectors_of

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded

_FIRST_FETCH = 200


class SearchIndex:
    """Windows and whole videos of an index folder, read-only. The bundle is loaded when a query first needs it."""

    def __init__(self, folder: Path | str, bundle: Path | str | Loaded | None = None) -> None:
        folder = Path(folder)
        bundle = Path(bundle) if isinstance(bundle, str) else bundle
        self.folder = folder
        self._catalogue = Catalogue.open(folder / CATALOGUE_NAME)
        self._videos = self._catalogue.videos()
        self._spans = self._catalogue.window_spans()
        if not self._spans:
            self._catalogue.close()
            raise ValueError(f"{folder}: holds no video; add some with `ophclip index`")
        self._vectors = {table: vectors_of(self._catalogue, table, folder / table) for table in TABLES}
        self._bundle = bundle
        self._loaded: Loaded | None = None

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
        return len(self._spans)

    @property
    def loaded(self) -> Loaded:
        """The bundle that made the index: given, or found where the index remembers it.

        Raises:
            ValueError: it is not there any more, or has other weights.
        """
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Loaded:
        remembered = self._catalogue.about["bundle"]
        given = self._bundle if self._bundle is not None else self.folder / remembered
        if isinstance(given, Path) and self._bundle is None and not given.is_dir():
            raise ValueError(f"{given.resolve()}: the bundle that made {self.folder} is gone; name it with --bundle")
        digest = read_description(given).weights_sha256 if isinstance(given, Path) else given.weights_sha256
        held = self._catalogue.about["weights_sha256"]
        if digest != held:
            raise ValueError(
                f"{self.folder}: made by weights {held[:12]}, the bundle has {digest[:12]}; "
                "name the bundle that made it with --bundle"
            )
        if not isinstance(given, Path):
            return given
        from ophclip.evaluation.embedding import default_device
        from ophclip.models.bundle import load_bundle

        return load_bundle(given, device=default_device())

    def search(
        self,
        *,
        text: str | None = None,
        image: Path | str | NDArray[np.uint8] | None = None,
        video: Path | str | None = None,
        vector: NDArray[Any] | None = None,
        k: int = 5,
        min_score: float | None = None,
        group_by_video: bool = False,
        merge: bool = True,
        narrated: bool | None = None,
        level: str = "window",
    ) -> list[Hit]:
        """The `k` stretches of video nearest to one query, best first.

        Args:
            text: words; an instrument's name is looked up with its synonyms.
            image: a picture file, or uint8 RGB [H, W, 3].
            video: a video file, searched by all of its frames pooled.
            vector: a vector [D] of the bundle's space, of any length.
            k: how many; fewer come back if there are no more.
            min_score: hits with a lower cosine are left out.
            group_by_video: only the best window of each video.
            merge: overlapping windows become one hit; else every window is a hit of its own.
            narrated: only narrated (True) or only silent (False) videos.
            level: `window`, or `video` to compare whole videos.

        Raises:
            ValueError: not exactly one query, a query that cannot be read, or an option out of range.
        """
        if k < 1:
            raise ValueError(f"search: k is {k} and must be at least 1")
        if level not in ("window", "video"):
            raise ValueError(f"search: level is {level!r}; expected window or video")
        query_d = self._query(text=text, image=image, video=video, vector=vector)
        table: Table = "windows" if level == "window" else "videos"
        allowed = None if narrated is None else self._narration_mask(table, narrated)
        fetch = _FIRST_FETCH
        while True:
            ranked = self._ranked(query_d, table, fetch, allowed, min_score)
            hits = self._cut(ranked, k, group_by_video=group_by_video, merge=merge and level == "window")
            if len(hits) == k or len(ranked) < fetch:
                return [self._hit(one, level) for one in hits]
            fetch *= 4

    def _cut(self, ranked: Sequence[Found], k: int, *, group_by_video: bool, merge: bool) -> list[Found]:
        if group_by_video:
            return best_of_each_video(ranked, k)
        return (
            merge_overlapping(ranked, k, float(self._catalogue.about["window_seconds"])) if merge else list(ranked[:k])
        )

    def _query(self, **given: Any) -> NDArray[np.float32]:
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) != 1:
            raise ValueError(f"search: give one of text, image, video, vector; {len(chosen)} given")
        (kind, value), *_ = chosen.items()
        vector_d = np.asarray(getattr(self, f"_of_{kind}")(value), dtype=np.float64)
        width = self._vectors["windows"].dim
        if vector_d.shape != (width,) or not np.isfinite(vector_d).all():
            raise ValueError(f"search: the vector has shape {vector_d.shape}; expected {width} finite numbers")
        return unit(vector_d).astype(np.float32)

    def _of_text(self, text: str) -> NDArray[Any]:
        wordings = query_wordings(text)
        return wordings_vector(self.loaded, wordings)

    def _of_image(self, image: Path | str | NDArray[np.uint8]) -> NDArray[Any]:
        from ophclip.data.pictures import read_picture

        pixels_hwc = read_picture(Path(image)) if isinstance(image, (Path, str)) else image
        return self._pooled(self.loaded.embed_frames([pixels_hwc]))

    def _of_video(self, video: Path | str) -> NDArray[Any]:
        fps = float(self._catalogue.about["fps"])
        loaded = self.loaded
        from ophclip.evaluation.embedding import embed_video

        return self._pooled(embed_video(loaded, Path(video), fps=fps, batch_frames=64).vectors_td)

    def _pooled(self, vectors_td: NDArray[np.float32]) -> NDArray[Any]:
        return np.asarray(self.loaded.pool_spans(vectors_td, [(0, len(vectors_td))])[0])

    def _of_vector(self, vector: NDArray[Any]) -> NDArray[Any]:
        return vector

    def _narration_mask(self, table: Table, narrated: bool) -> NDArray[np.bool_]:
        owners = [span[0] for span in self._spans.values()] if table == "windows" else list(self._videos)
        return np.array([self._videos[owner].narrated == narrated for owner in owners], dtype=np.bool_)

    def _ranked(
        self,
        query_d: NDArray[np.float32],
        table: Table,
        fetch: int,
        allowed: NDArray[np.bool_] | None,
        min_score: float | None,
    ) -> list[Found]:
        neighbours = self._vectors[table].search(query_d[None, :], fetch, allowed)
        pairs = zip(neighbours.ids[0], neighbours.scores_qk[0].tolist(), strict=True)
        return [self._found(one, table, score) for one, score in pairs if min_score is None or score >= min_score]

    def _found(self, vector_id: str, table: Table, score: float) -> Found:
        if table == "windows":
            owner, start, end = self._spans[vector_id]
        else:
            owner, start = vector_id.rsplit("/", 1)[0], 0.0
            end = self._videos[owner].duration_seconds
        return Found(best=vector_id, video_id=owner, start_seconds=start, end_seconds=end, score=score)

    def _hit(self, found: Found, level: str) -> Hit:
        video = self._videos[found.video_id]
        best = self._catalogue.window(found.best if level == "window" else self._middle_window(found.video_id))
        narrations = self._catalogue.narrations(found.video_id, found.start_seconds, found.end_seconds)
        return Hit(
            video_id=found.video_id,
            path=(self.folder / video.path).resolve(),
            start_seconds=found.start_seconds,
            end_seconds=found.end_seconds,
            peak_seconds=(best.start_seconds + best.end_seconds) / 2,
            score=found.score,
            narration=" ".join(narrations),
            title=video.title,
            license=video.license,
            thumbnail_jpeg=best.thumbnail_jpeg,
        )

    def _middle_window(self, video_id: str) -> str:
        own = [window for window, span in self._spans.items() if span[0] == video_id]
        return own[len(own) // 2]


def open_index(folder: Path | str, bundle: Path | str | Loaded | None = None) -> SearchIndex:
    """Open an index for searching; `bundle` only if the one that made it lies elsewhere now.

    Raises:
        ValueError: there is no index, or it is damaged.
    """
    return SearchIndex(folder, bundle)
