"""Requests to the service at a steady rate, whether others are answered or not; every answer is looked at."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from soak_journal import Journal

PER_SECOND = 3.0
BUSY = (429, 503)
_TEXTS = (
    *("phaco handpiece", "lens injector", "keratome", "capsulorhexis forceps", "viscoelastic cannula"),
    *("irrigation and aspiration handpiece", "the lens is cut into four", "a fold of the iris", "corneal suture"),
)
_LIST_EVERY = 30
_MOST_TOLD = 20


@dataclass(kw_only=True)
class Gone:
    """Videos that were purged: since when no answer may hold them, the index having been opened anew."""

    since: dict[str, float] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    """Purged or about to be: their files may be refused."""

    def by(self, seconds: float) -> set[str]:
        """What was gone at a second."""
        return {name for name, since in list(self.since.items()) if since < seconds}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How one request went."""

    kind: str
    status: int
    """0 where the connection broke or none came."""
    latency_ms: float
    """From when it was due."""


class Load:
    """Three requests a second: mostly texts, some ranges of videos, a few uploads."""

    def __init__(self, url: str, uploads: Mapping[str, Path], journal: Journal, gone: Gone) -> None:
        self._url, self._journal, self._gone = url, journal, gone
        self._uploads = {kind: path.read_bytes() for kind, path in uploads.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_on_time()))
        self._videos: list[str] = []
        self._random = random.Random(0)
        self.answers: list[Answer] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _ask_on_time(self) -> None:
        limits = httpx.Limits(max_connections=64)
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=60, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as asking,
        ):
            await self._list_videos(client)
            began, number = self._journal.seconds, 0
            while not self._stop.is_set():
                if number % _LIST_EVERY == 0:
                    asking.create_task(self._list_videos(client))
                due_seconds = began + number / PER_SECOND
                await asyncio.sleep(max(0.0, due_seconds - self._journal.seconds))
                asking.create_task(self._ask(client, number, due_seconds))
                number += 1

    async def _list_videos(self, client: httpx.AsyncClient) -> None:
        try:
            found = await client.get("/v1/videos")
            self._videos = [one["video_id"] for one in found.json()["videos"]]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self._fail(f"the list of videos: {error!r}")

    async def _ask(self, client: httpx.AsyncClient, number: int, due_seconds: float) -> None:
        kind = _kind(number)
        gone = self._gone.by(self._journal.seconds)
        asked = ""
        try:
            if kind == "search":
                text = self._random.choice(_TEXTS) + (f", case {number}" if number % 2 else "")
                found = await client.post("/v1/search", json={"text": text})
            elif kind == "clip":
                asked, first = self._random.choice(self._videos), self._random.randrange(100_000)
                span = {"Range": f"bytes={first}-{first + 65_535}"}
                found = await client.get(f"/v1/videos/{asked}/clip", headers=span)
            else:
                found = await client.post(f"/v1/embed/{kind}", content=self._uploads[kind])
            self._look_at(kind, found, asked, gone)
            status = found.status_code
        except httpx.HTTPError as error:
            self._fail(f"{kind}: {error!r}")
            status = 0
        self.answers.append(Answer(kind=kind, status=status, latency_ms=1e3 * (self._journal.seconds - due_seconds)))

    def _look_at(self, kind: str, found: httpx.Response, asked: str, gone: set[str]) -> None:
        if found.status_code in BUSY:
            self._journal.count(f"answers {found.status_code}, told to come again")
        elif asked and asked in self._gone.leaving and found.status_code == 404:
            self._journal.count("answers 404, of a purged video")
        elif asked in gone:
            self._fail(f"{kind}: {found.status_code} of a purged video")
        elif found.status_code != (206 if kind == "clip" else 200):
            self._fail(f"{kind}: {found.status_code} {found.text[:200]}")
        elif kind == "search":
            hits = {hit["video_id"] for hit in found.json()["hits"]}
            if not hits or hits & gone:
                self._fail(f"search: {len(hits)} hits, {len(hits & gone)} of a purged video")

    def _fail(self, what: str) -> None:
        self._journal.count("answers that failed")
        if self._journal.counts["answers that failed"] <= _MOST_TOLD:
            self._journal.require(False, "load", what)


def _kind(number: int) -> str:
    """Of thirty requests one uploads a picture, one a clip, three take a range of a video, the others search."""
    if number % 30 == 7:
        return "image"
    if number % 30 == 22:
        return "video"
    return "clip" if number % 10 == 5 else "search"
