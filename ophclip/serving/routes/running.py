"""How the service is: alive, ready, its figures; the index opened anew; a cookie for the page's pictures."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from ophclip.serving.door import COOKIE
from ophclip.serving.messages import Session, Status
from ophclip.serving.refusing import RefusedError
from ophclip.serving.routes.shared import TheService, answered_with, refusals

router = APIRouter(tags=["running"])


@router.get("/health", responses=refusals())
async def health() -> Status:
    """Whether the service lives."""
    return Status(status="ok")


@router.get("/ready", responses=refusals())
async def ready(request: Request, service: TheService) -> Status:
    """Whether it takes requests: its model is loaded and has answered a query, no file of its index is gone, and it is
    not about to end."""
    if request.app.state.traffic.ending:
        raise RefusedError(503, "the service is about to end; ask again when it is back")
    with answered_with(503):
        service.require_whole()
    return Status(status="ready")


@router.get("/metrics", responses={**refusals(), 200: {"content": {"text/plain": {}}}}, response_class=Response)
async def metrics(service: TheService) -> Response:
    """Figures for Prometheus; needs a token of scope admin."""
    return Response(service.metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.post("/v1/reload", responses=refusals(409))
def reload(service: TheService) -> Status:
    """Open the index anew after `ophclip index` has changed it; needs a token of scope admin."""
    with answered_with(409):
        service.reload()
    return Status(status="ready")


@router.post("/v1/session", status_code=204, responses=refusals(404), response_class=Response)
def session(given: Session, request: Request, service: TheService) -> Response:
    """Keep a token in a cookie that scripts cannot read, for pictures and videos, to which a page adds no headers."""
    if service.tokens is None:
        raise RefusedError(404, "this service asks for no token; go on without a session")
    if service.tokens.find(given.token) is None:
        raise RefusedError(
            401,
            "no valid token; give one that `ophclip token create` printed, or ask whoever runs the service",
            {"WWW-Authenticate": "Bearer"},
        )
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE, given.token, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    return answer
