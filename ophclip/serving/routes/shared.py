"""What all routes need: the service, and how they say what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias

import numpy as np
from fastapi import Depends, Request
from numpy.typing import NDArray

from ophclip.search.index import SearchIndex
from ophclip.serving.messages import Query, Refusal
from ophclip.serving.refusing import RefusedError
from ophclip.serving.service import OpenIndex, Service


# Coroutines, because FastAPI would send plain functions to another thread, each for longer than they take.
async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _index(service: Annotated[Service, Depends(_service)]) -> AsyncIterator[OpenIndex]:
    with service.reading() as held:
        yield held


TheService: TypeAlias = Annotated[Service, Depends(_service)]
TheIndex: TypeAlias = Annotated[OpenIndex, Depends(_index)]


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: statuses that a route answers with a `Refusal`, besides those of all routes."""
    return {status: {"model": Refusal} for status in sorted({400, 401, 403, 408, 413, 422, 429, 503, *statuses})}


@contextmanager
def answered_with(status: int) -> Iterator[None]:
    """What the library says of a user's mistake in one line is the answer."""
    try:
        yield
    except ValueError as error:
        raise RefusedError(status, str(error)) from error


def query_of(asked: Query, index: SearchIndex) -> NDArray[np.float32]:
    """The unit vector [D] that is asked for. Raises ValueError if there is no such hit, or the width is another."""
    if asked.hit_id is not None:
        return index.vector(asked.hit_id)
    return index.query_vector(text=asked.text, vector=asked.vector_d)
