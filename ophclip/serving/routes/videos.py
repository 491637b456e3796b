"""Indexed videos: which there are, their bytes, their phases, how a query fits them over time."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ophclip.serving.media import media_response
from ophclip.serving.messages import CurvePoints, Phase, Phases, Query, Video, Videos
from ophclip.serving.phases import PROMPTS, phase_names
from ophclip.serving.routes.shared import TheIndex, TheService, answered_with, query_of, refusals

router = APIRouter(prefix="/v1/videos", tags=["videos"])
_MEDIA = {"content": {"video/*": {"schema": {"type": "string", "format": "binary"}}}}


@router.get("", responses=refusals())
def videos(held: TheIndex) -> Videos:
    """All indexed videos."""
    return Videos(
        videos=[
            Video(
                video_id=one.video_id,
                title=one.title,
                license=one.license,
                narrated=one.narrated,
                duration_seconds=one.duration_seconds,
                attributes={key: list(values) for key, values in one.attributes.items()},
            )
            for one in held.videos.values()
        ]
    )


@router.head("/{video_id}/clip", include_in_schema=False)
@router.get(
    "/{video_id}/clip", responses={**refusals(404, 409, 416), 200: _MEDIA, 206: _MEDIA}, response_class=Response
)
def clip(video_id: str, request: Request, held: TheIndex, service: TheService) -> Response:
    """The file of a video, or one range of its bytes."""
    with answered_with(404):
        path = held.index.media_path(video_id)
    sha256 = held.videos[video_id].sha256
    return media_response(
        service.files.open(path, sha256), path.suffix.lower(), sha256, request.headers, request.method
    )


@router.get("/{video_id}/phases", responses=refusals(404))
def phases(video_id: str, held: TheIndex, service: TheService) -> Phases:
    """The phases of a video, recognised without training on them and smoothed over the whole of it."""
    with answered_with(404):
        held.index.media_path(video_id)
    spans = service.phases(held, video_id)
    return Phases(
        prompts=PROMPTS,
        names=list(phase_names()),
        spans=[Phase(phase=one.phase, start_seconds=one.start_seconds, end_seconds=one.end_seconds) for one in spans],
    )


@router.post("/{video_id}/curve", responses=refusals(404))
def curve(video_id: str, asked: Query, held: TheIndex) -> CurvePoints:
    """How well every window of a video fits a query."""
    with answered_with(404):
        held.index.media_path(video_id)
    with answered_with(422):
        query_d = query_of(asked, held.index)
    found = held.index.curve(query_d, video_id)
    return CurvePoints(
        start_seconds=found.start_seconds_w.tolist(),
        end_seconds=found.end_seconds_w.tolist(),
        scores=found.scores_w.tolist(),
    )
