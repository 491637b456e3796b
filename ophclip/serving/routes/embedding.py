"""Texts, pictures and clips to vectors."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from ophclip.serving.decoding import Kind
from ophclip.serving.messages import Texts, Vectors
from ophclip.serving.routes.shared import TheService, answered_with, refusals
from ophclip.serving.service import Service
from ophclip.serving.uploads import spooled

router = APIRouter(prefix="/v1/embed", tags=["embedding"])


def _body(*types: str) -> dict[str, object]:
    content = {name: {"schema": {"type": "string", "format": "binary"}} for name in types}
    return {"requestBody": {"required": True, "content": content}}


@router.post("/text", responses=refusals())
def embed_text(given: Texts, service: TheService) -> Vectors:
    """The unit vector of each text, as it stands: without the wordings and synonyms that a search adds."""
    with answered_with(422):
        return _vectors(service, service.encoder.embed_texts(given.texts))


@router.post("/image", responses=refusals(415), openapi_extra=_body("application/octet-stream", "image/*"))
async def embed_image(request: Request, service: TheService) -> Vectors:
    """The unit vector of a picture; the body is its bytes."""
    return await _embedded(request, service, Kind.PICTURE)


@router.post("/video", responses=refusals(415), openapi_extra=_body("application/octet-stream", "video/*"))
async def embed_video(request: Request, service: TheService) -> Vectors:
    """One unit vector of a whole clip; the body is its bytes."""
    return await _embedded(request, service, Kind.CLIP)


async def _embedded(request: Request, service: Service, kind: Kind) -> Vectors:
    async with spooled(request, kind, service.uploads) as path:
        vector_d = await run_in_threadpool(service.embed, path, kind)
    return _vectors(service, vector_d[None])


def _vectors(service: Service, vectors_nd: NDArray[np.float32]) -> Vectors:
    # Made by ourselves, so that checking thousands of numbers again would only cost time.
    return Vectors.model_construct(
        dim=vectors_nd.shape[1], weights_sha256=service.encoder.weights_sha256, vectors=vectors_nd.tolist()
    )
