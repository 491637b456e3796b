"""Moments that answer a query, and what is shown of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ophclip.search.hits import Hit
from ophclip.serving.messages import FoundHit, Hits, IndexFacts, Search, Suggestions
from ophclip.serving.phases import PROMPTS
from ophclip.serving.present import instrument_named, suggestions
from ophclip.serving.routes.shared import TheIndex, TheService, answered_with, refusals

router = APIRouter(prefix="/v1", tags=["search"])
_JPEG = {200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/index", responses=refusals())
def index(held: TheIndex, service: TheService) -> IndexFacts:
    """What is searched, by which model, and what filters can ask for."""
    facts = held.index.facts()
    return IndexFacts(
        model=facts["model"],
        weights_sha256=service.encoder.weights_sha256,
        dim=held.index.dim,
        videos=len(held.index.videos()),
        windows=len(held.index),
        window_seconds=facts["window_seconds"],
        facets=held.index.facets(),
        calibrated=False,
        phase_prompts=PROMPTS,
    )


@router.get("/suggestions", responses=refusals())
def suggest(
    prefix: Annotated[str, Query(max_length=100)] = "", limit: Annotated[int, Query(ge=1, le=50)] = 8
) -> Suggestions:
    """Instruments whose names begin as the text does."""
    return Suggestions(suggestions=suggestions(prefix, limit))


@router.post("/search", responses=refusals(404))
def search(asked: Search, held: TheIndex) -> Hits:
    """The moments nearest to a text, a vector, or a moment that was found before."""
    options = {"k": asked.k, "min_score": asked.min_score, "group_by_video": asked.group_by_video}
    if asked.hit_id is not None:
        with answered_with(404):
            held.index.vector_of(asked.hit_id)
        found = held.index.neighbours(asked.hit_id, **options)
    else:
        with answered_with(422):
            found = held.index.search(text=asked.text, vector=asked.vector_d, level=asked.level, **options)
    instrument = None if asked.text is None else instrument_named(asked.text)
    return Hits(instrument=instrument, hits=[_told(hit, held.index.hit_of(hit), asked.level) for hit in found])


@router.get("/hits/{hit_id:path}/thumbnail", responses={**refusals(404), **_JPEG}, response_class=Response)
def thumbnail(hit_id: str, held: TheIndex) -> Response:
    """The picture of a hit."""
    with answered_with(404):
        return Response(held.index.thumbnail(hit_id), media_type="image/jpeg")


def _told(hit: Hit, hit_id: str, level: str) -> FoundHit:
    return FoundHit(
        hit_id=hit_id,
        video_id=hit.video_id,
        title=hit.title,
        license=hit.license,
        narration=hit.narration,
        start_seconds=hit.start_seconds,
        end_seconds=hit.end_seconds,
        peak_seconds=hit.peak_seconds,
        score=hit.score,
        probability=None,
        level=level,
    )
