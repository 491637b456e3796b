"""What the service asks of an index beyond what `SearchIndex` answers so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.prompts import builtin_prompts
from ophclip.search.index import SearchIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    start_seconds_w: NDArray[np.float64]
    end_seconds_w: NDArray[np.float64]
    scores_w: NDArray[np.float64]


class PresentIndex(SearchIndex):
    def facts(self) -> dict[str, Any]:
        about = self._catalogue.about
        return {"model": about["model"], "window_seconds": float(about["window_seconds"]), "fps": float(about["fps"])}

    @property
    def dim(self) -> int:
        return self._vectors["windows"].dim

    def videos(self):
        return tuple(self._videos.values())

    def facets(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {"license": {}}
        for video in self._videos.values():
            found["license"][video.license] = found["license"].get(video.license, 0) + 1
        return found

    def hit_of(self, hit: Any) -> str:
        for window in self._catalogue.windows_at(hit.video_id, hit.peak_seconds):
            if abs((window.start_seconds + window.end_seconds) / 2 - hit.peak_seconds) < 1e-6:
                return window.window_id
        raise ValueError("no such window")

    def neighbours(self, hit_id: str, **options: Any):
        return self.search(vector=self._catalogue.window_vector(hit_id), **options)

    def query_vector(self, **given: Any):
        return self._query(**given)

    def vector_of(self, hit_id: str):
        self._known(hit_id)
        return self._catalogue.window_vector(hit_id)

    def thumbnail(self, hit_id: str) -> bytes:
        self._known(hit_id)
        return self._catalogue.window(hit_id).thumbnail_jpeg

    def _known(self, hit_id: str) -> None:
        if hit_id not in self._spans:
            raise ValueError("hit_id: no such hit in this index")

    def media_path(self, video_id: str) -> Path:
        if video_id not in self._videos:
            raise ValueError("video_id: no such video in this index")
        return (self.folder / self._videos[video_id].path).resolve()

    def window_vectors(self, video_id: str):
        self.media_path(video_id)
        own = [(one, span) for one, span in self._spans.items() if span[0] == video_id]
        vectors = np.stack([self._catalogue.window_vector(one) for one, _ in own])
        return [(start, end) for _, (_, start, end) in own], vectors

    def curve(self, query_d: NDArray[Any], video_id: str) -> Curve:
        spans, vectors = self.window_vectors(video_id)
        starts, ends = np.array(spans).T
        return Curve(start_seconds_w=starts, end_seconds_w=ends, scores_w=vectors @ query_d)


def instrument_named(text: str) -> str | None:
    found = builtin_prompts("instruments").named_in(text)
    return None if found is None else found.label


def suggestions(prefix: str, limit: int) -> list[str]:
    names = [name for one in builtin_prompts("instruments").classes for name in (one.label, *one.synonyms)]
    return [name for name in dict.fromkeys(names) if name.lower().startswith(prefix.lower())][:limit]
