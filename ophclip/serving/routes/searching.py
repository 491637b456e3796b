"""Moments that answer a query, and what is shown of each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Query as InUrl

from ophclip.search.hits import Hit
from ophclip.search.index import SearchIndex
from ophclip.search.queries import instrument_named, suggestions
from ophclip.serving.messages import FoundHit, Hits, IndexFacts, Query, Search, Suggestions
from ophclip.serving.phases import PROMPTS
from ophclip.serving.routes.shared import TheIndex, TheService, answered_with, query_of, refusals

router = APIRouter(prefix="/v1", tags=["search"])
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/index", responses=refusals())
def index(held: TheIndex) -> IndexFacts:
    """What is searched, by which model, and what filters can ask for."""
    about = held.index.about
    return IndexFacts(
        model=about["model"],
        weights_sha256=about["weights_sha256"],
        dim=int(about["dim"]),
        videos=len(held.index.videos()),
        windows=len(held.index),
        window_seconds=float(about["window_seconds"]),
        facets=held.index.facets(),
        calibrated=held.index.calibration is not None,
        phase_prompts=PROMPTS,
    )


@router.get("/suggestions", responses=refusals())
def suggest(
    prefix: Annotated[str, InUrl(max_length=100)] = "", limit: Annotated[int, InUrl(ge=1, le=50)] = 8
) -> Suggestions:
    """Instruments whose names begin as the text does."""
    return Suggestions(suggestions=suggestions(prefix, limit))


@router.post("/search", responses=refusals(404))
def search(asked: Search, held: TheIndex) -> Hits:
    """The moments nearest to a text, a vector, or a moment that was found before, that one left out."""
    if asked.hit_id is not None:
        with answered_with(404):
            held.index.vector(asked.hit_id)
    with answered_with(422):
        found = _found(asked, held.index)
    instrument = None if asked.text is None else instrument_named(asked.text)
    return Hits(instrument=instrument, hits=[_told(hit) for hit in found])


def _found(asked: Search, index: SearchIndex) -> list[Hit]:
    filters = asked.filters.filters()
    if asked.hit_id is not None:
        return index.neighbours(
            asked.hit_id,
            k=asked.k,
            filters=filters,
            min_score=asked.min_score,
            group_by_video=asked.group_by_video,
            level=asked.level,
        )
    return index.search(
        text=asked.text,
        vector=asked.vector_d,
        k=asked.k,
        filters=filters,
        min_score=asked.min_score,
        group_by_video=asked.group_by_video,
        level=asked.level,
    )


@router.get("/hits/{hit_id:path}/thumbnail", responses={**refusals(404), **_JPEG}, response_class=Response)
def thumbnail(hit_id: str, held: TheIndex) -> Response:
    """The picture of a hit."""
    with answered_with(404):
        return Response(held.index.thumbnail(hit_id), media_type="image/jpeg")


@router.post("/hits/{hit_id:path}/heat_map", responses={**refusals(404), **_JPEG}, response_class=Response)
def heat_map(hit_id: str, asked: Query, held: TheIndex, service: TheService) -> Response:
    """The picture of a hit, warmer where it answers a query; X-Peak is where most, as fractions of width and height."""
    with answered_with(404):
        held.index.thumbnail(hit_id)
    with answered_with(422):
        picture, (across, down) = service.heat_map(held, hit_id, query_of(asked, held.index))
    return Response(picture, media_type="image/jpeg", headers={"X-Peak": f"{across:.4f},{down:.4f}"})


def _told(hit: Hit) -> FoundHit:
    return FoundHit(
        hit_id=hit.hit_id,
        video_id=hit.video_id,
        title=hit.title,
        license=hit.license,
        narration=hit.narration,
        start_seconds=hit.start_seconds,
        end_seconds=hit.end_seconds,
        peak_seconds=hit.peak_seconds,
        score=hit.score,
        probability=hit.probability,
        level=hit.level,
    )
