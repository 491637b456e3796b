"""The FastAPI application around a `Service`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

import ophclip
from ophclip.serving.door import Door
from ophclip.serving.refusing import RefusedError, refusal
from ophclip.serving.routes import embedding, running, searching, videos
from ophclip.serving.service import Service
from ophclip.serving.watch import Traffic, Watch

_ABOUT = "Search in surgical video by words, pictures, clips or moments. Errors are one line under `error`."

_SEE = "/openapi.json says what is taken"
_WORDS = {
    400: f"the body cannot be read as JSON; {_SEE}",
    404: f"no such route; {_SEE}",
    405: f"no such method on this route; {_SEE}",
}
"""What Starlette and FastAPI refuse themselves."""


def create_app(service: Service) -> FastAPI:
    """The application; it neither opens nor closes the service."""
    # No pages of Swagger or ReDoc: they load their scripts from elsewhere. The document itself is at /openapi.json.
    app = FastAPI(
        title="ophclip", version=ophclip.__version__, description=_ABOUT, docs_url=None, redoc_url=None,
        lifespan=_threads_for_all,
    )  # fmt: skip
    app.state.service = service
    app.state.traffic = Traffic()
    for routes in (running, embedding, searching, videos):
        app.include_router(routes.router)
    _add_page(app)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Door, config=service.config, metrics=service.metrics, held=service.tokens)
    app.add_middleware(Watch, config=service.config, metrics=service.metrics, traffic=app.state.traffic)
    return app


@asynccontextmanager
async def _threads_for_all(app: FastAPI) -> AsyncIterator[None]:
    """As many threads as requests are let in: one that waits for the encoder must not keep another from it."""
    config = app.state.service.config
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = config.requests + config.limits.at_once + config.streams
    yield


def _add_page(app: FastAPI) -> None:
    folder = Path(str(resources.files("ophclip.serving") / "page"))
    app.mount("/page", StaticFiles(directory=folder), name="page")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(folder / "index.html")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = error.detail
    if not isinstance(error, RefusedError):
        words = _WORDS.get(error.status_code, f"{words}; {_SEE}")
    return refusal(error.status_code, words, error.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    """The first thing that is wrong with a request, without what was sent."""
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    words = first["msg"].removeprefix("Value error, ")
    return refusal(422, f"{place}: {words}" + ("" if ";" in words else f"; {_SEE}"))
