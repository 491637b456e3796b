"""`ophclip trace`: one second of a result, or a hit of a search, back to all that it rests on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.media import probe
from ingest.shards import sha256_of
from ophclip.evaluation.datasets.coco import PICTURES
from ophclip.evaluation.embedding_folder import VECTOR_SUFFIXES
from ophclip.models.description import OPEN_CLIP_PREFIX
from ophclip.tracing.corpus import corpus_links
from ophclip.tracing.model import is_scored, model_link, sentences_link
from ophclip.tracing.origins import Origin, find_origin, only_samples, read_asked
from ophclip.tracing.records import Link, Trace, broken, holds

AROUND_SECONDS = 10.0


def trace(
    place: Path,
    video: str,
    second: float | None = None,
    *,
    corpus: Path | None = None,
    bundle: Path | str | None = None,
    prompts: str = "",
    around_seconds: float = AROUND_SECONDS,
) -> Trace:
    """Follow one answer back; a link that is missing or is not what it was is told as broken, the rest is shown.

    Args:
        place: a result or its folder, or an index folder.
        video: the video's id, or a hit as `ophclip search --json` prints it.
        second: of the video; of a hit its best moment by default.
        corpus: where the video was ingested, if `place` does not know or it was moved.
        bundle: where the model lies now.
        prompts: file of the prompts, if they were moved.
        around_seconds: how far before and after the second words are shown.

    Raises:
        ValueError: there is no result and no index, or no moment was named.
    """
    asked = read_asked(place, video, second)
    origin = find_origin(asked)
    if isinstance(bundle, str) and not bundle.startswith(OPEN_CLIP_PREFIX):
        bundle = Path(bundle) if bundle else None
    origin = replace(
        origin, bundle=bundle or origin.bundle, corpora=(corpus,) if corpus is not None else origin.corpora
    )
    told = corpus_links(origin.corpora, asked.video_id, origin.sha256, asked.second, around_seconds)
    origin = only_samples(origin, told.keys)
    if origin.path is None and told.source:
        origin = replace(origin, path=Path(told.source), sha256=origin.sha256 or told.sha256)
    source, model = _source(origin, asked.second), model_link(origin)
    sentences = sentences_link(asked, origin, scored=is_scored(source, model, origin.link), prompts=prompts)
    links = (origin.link, source, *told.links, model, sentences)
    return Trace(place=str(place), video_id=asked.video_id, second=asked.second, links=links)


def _source(origin: Origin, second: float) -> Link:
    """The file of the video, read again."""
    facts: dict[str, Any] = {"sha256": origin.sha256, "second": second}
    path = origin.path
    if path is None:
        told = "it is not said where the file lies; name the corpus that holds it with --corpus"
        return broken("source", told, **facts)
    facts["file"] = str(path)
    if not path.is_file():
        return broken("source", f"{path} is gone", **facts)
    found = sha256_of(path)
    if found != origin.sha256:
        return broken("source", f"{path} holds other bytes now: SHA-256 {found}", **facts)
    if path.suffix in VECTOR_SUFFIXES or path.suffix.lower() in PICTURES:
        return holds("source", **facts)
    return _within(path, second, facts)


def _within(path: Path, second: float, facts: dict[str, Any]) -> Link:
    try:
        duration_seconds = probe(path).duration_seconds
    except ValueError as error:
        return broken("source", str(error), **facts)
    facts["duration_seconds"] = duration_seconds
    if not 0.0 <= second <= duration_seconds:
        return broken("source", f"{second:g} s lies outside of {path}", **facts)
    return holds("source", **facts)
