"""Which videos a search may find: typed, checked against what there is, exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ophclip.search.entries import VideoEntry

_LISTED = 12
_NARRATED = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a hit's video must be; empty holds for every video."""

    video_ids: tuple[str, ...] = ()
    """One of these."""
    narrated: bool | None = None
    """Narrated (True), silent (False), or either."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`{"license": ("CC0", "CC BY 4.0"), "split": ("train",)}`: of every key one of its values."""

    def __post_init__(self) -> None:
        given: list[object] = [self.video_ids, *self.attributes.values()]
        single = [one for one in given if isinstance(one, str)]
        if single:
            raise ValueError(f"filter: {single[0]!r} is a single text; expected a tuple of them: ({single[0]!r},)")


def parse_filters(words: Iterable[str]) -> Filters:
    """Filters from words such as `license=CC0`, `video=ID` and `narrated=true`; a key given twice takes either value.

    Raises:
        ValueError: a word that is not of this form.
    """
    given: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise ValueError(f"filter: found {word!r}, expected KEY=VALUE such as license=CC0 or narrated=true")
        given.setdefault(key, []).append(value)
    narrated = given.pop("narrated", [])
    unknown = next((word for word in narrated if word not in _NARRATED), None)
    if unknown is not None or len(set(narrated)) > 1:
        raise ValueError(f"filter: narrated={', '.join(narrated)}; expected narrated=true or narrated=false, once")
    return Filters(
        video_ids=tuple(given.pop("video", ())),
        narrated=_NARRATED[narrated[0]] if narrated else None,
        attributes={key: tuple(values) for key, values in given.items()},
    )


class Facets:
    """Attributes of the videos of an index, V of them, turned round: which videos have which value."""

    def __init__(self, videos: Sequence[VideoEntry]) -> None:
        self._videos = len(videos)
        self._place_of = {video.video_id: place for place, video in enumerate(videos)}
        self._narrated_v = np.array([video.narrated for video in videos], dtype=np.bool_)
        places: dict[str, dict[str, list[int]]] = {}
        for place, video in enumerate(videos):
            for key, values in video.attributes.items():
                for value in values:
                    places.setdefault(key, {}).setdefault(value, []).append(place)
        self._places = {key: dict(sorted(values.items())) for key, values in sorted(places.items())}

    def counts(self) -> dict[str, dict[str, int]]:
        """Attribute -> value -> number of videos."""
        return {key: {value: len(held) for value, held in values.items()} for key, values in self._places.items()}

    def allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Which videos [V] the filters leave; None if all.

        Raises:
            ValueError: a video, an attribute or a value that is not in the index; says which are.
        """
        if filters == Filters():
            return None
        allowed_v = np.ones(self._videos, dtype=np.bool_)
        if filters.video_ids:
            allowed_v &= self._among([self._known_video(video_id) for video_id in filters.video_ids])
        if filters.narrated is not None:
            allowed_v &= self._narrated_v == filters.narrated
        for key, values in filters.attributes.items():
            held = [self._holding(key, value) for value in values]
            allowed_v &= self._among([place for places in held for place in places])
        return allowed_v

    def _among(self, places: Sequence[int]) -> NDArray[np.bool_]:
        among_v = np.zeros(self._videos, dtype=np.bool_)
        among_v[list(places)] = True
        return among_v

    def _known_video(self, video_id: str) -> int:
        if video_id not in self._place_of:
            raise ValueError(f"filter: no video {video_id!r} in the index; it holds {_listed(self._place_of)}")
        return self._place_of[video_id]

    def _holding(self, key: str, value: str) -> Sequence[int]:
        if key not in self._places:
            raise ValueError(f"filter: no attribute {key!r}; the videos have {_listed(self._places) or 'none'}")
        if value not in self._places[key]:
            raise ValueError(f"filter: no video has {key}={value!r}; there is {_listed(self._places[key])}")
        return self._places[key][value]


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    rest = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
