"""What search indices hold of a video, found by its id or its content."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
from ophclip.search.entries import Level


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexed:
    """What an index holds of a video and its copies, and what it says of others."""

    video_ids: frozenset[str]
    contents: frozenset[str]
    windows: int
    texts: frozenset[str]
    other_texts: frozenset[str]
    thumbnails: tuple[bytes, ...]


def find_indexed(folder: Path, video_ids: Collection[str], contents: Collection[str]) -> Indexed:
    """Look a video up in an index folder.

    Raises:
        ValueError: it is no index.
    """
    texts, other_texts = set[str](), set[str]()
    with closing(Catalogue.open(folder / CATALOGUE_NAME)) as catalogue:
        videos = catalogue.videos()
        mine = {name for name, video in videos.items() if name in video_ids or video.sha256 in contents}
        thumbnails: list[bytes] = []
        windows = 0
        for name, video in videos.items():
            spans = [span for level in Level for span in catalogue.spans(name, level)]
            said = {video.title, *(line for span in spans for line in span.narrations)}
            (texts if name in mine else other_texts).update(said)
            if name in mine:
                windows += sum(span.level is Level.WINDOW for span in spans)
                thumbnails += [jpeg for span in spans if (jpeg := catalogue.thumbnail(span.number))]
    return Indexed(
        video_ids=frozenset(mine),
        contents=frozenset(videos[name].sha256 for name in mine),
        windows=windows,
        texts=frozenset(texts),
        other_texts=frozenset(other_texts),
        thumbnails=tuple(thumbnails),
    )
