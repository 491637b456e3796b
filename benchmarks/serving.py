"""Search over HTTP against the library that does it: `python -m benchmarks.serving`.

The towers of the demo with the weights they begin with, an index of a few drawn videos, `ophclip serve` as it is run.
Against one client: the same `search` in this process, called in turn. Against 32 clients: their texts encoded in large
batches and then searched, in this process, and a plain handler with a lock around the model, served by uvicorn. Then an
open load: requests arrive at a fixed rate whether others are answered or not, and each is timed from when it was due.
Until there no text is asked for twice, so that the service's cache answers none; a few hundred of the open load go on
so, then one in twenty is new. What is told by the slowest hundredth of these is thus what a new text costs.

Wall time; one thread of torch on all sides. The service's own threads and the client, a process apart, share two cores,
where what the library is compared with has one to itself and needs no more. Asserted inside: one answer in fifty,
under every load, is what the library finds; nothing is answered by anything but 200, in overload also 429.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI

from benchmarks.pairs import PAIRS, tell, told_ratios
from benchmarks.serving_load import Answer, Order, load
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.models.bundle import save_bundle
from ophclip.search.build import build_index
from ophclip.search.index import SearchIndex, open_index
from ophclip.search.queries import instrument_named, query_wordings
from ophclip.training.export import initial_model

REQUESTS = 10_000
"""Of the open load; a turn of a comparison has one for every `TURNS` of them."""
TURNS = 100
CLIENTS, K = 32, 12
LOADED, OVERLOADED = 0.7, 2.0
KNOWN_TEXTS, NEW_EVERY = 200, 20
VIDEOS, VIDEO_SECONDS = 6, 60
MOST_MB = 100
SAME_SCORE = 1e-4
"""What is encoded with other texts is padded and summed in another way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """A process that answers searches."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def rss_mb(self) -> float:
        """Its memory now, in 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


@contextmanager
def started(log: Path, *command: str) -> Iterator[Serving]:
    """A module run with these words, once it says in its log where it listens."""
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", *command], stderr=stderr)
    try:
        yield Serving(process=process, port=listening(process, log))
    finally:
        process.terminate()
        process.wait()


def listening(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port, when there is one."""
    while process.poll() is None:
        for line in log.read_text().splitlines():
            if '"listening"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def answer_plainly(folder: Path) -> None:
    """The peer: what one writes first. It loads what the service loads and asks it under a lock."""
    app, lock = FastAPI(), threading.Lock()
    with open_index(folder) as index, socket.socket() as listener:

        @app.post("/v1/search")
        def search(asked: dict[str, str]) -> dict[str, Any]:
            with lock:
                hits = index.search(text=asked["text"], k=K)
            return {"hits": [{name: getattr(hit, name) for name in TOLD} for hit in hits]}

        index.search(text="warm", k=1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(CLIENTS)
        print(json.dumps({"event": "listening", "port": listener.getsockname()[1]}), file=sys.stderr, flush=True)
        uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=[listener])


TOLD = (
    "hit_id", "video_id", "title", "license", "narration", "start_seconds", "end_seconds", "peak_seconds", "score",
    "probability", "level",
)  # fmt: skip


def make_index(folder: Path) -> Path:
    """The demo's towers and an index by them of videos that change their colours every four seconds."""
    (folder / "videos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(VIDEOS):
        write_video(folder / "videos" / f"case_{number:03}.mp4", rng)
    config = compose("train", ["model=demo", "data.root=any", f"out={folder / 'run'}"], TrainConfig)
    save_bundle(folder / "bundle", initial_model(config), config.model, {"steps": 0})
    build_index(folder / "bundle", folder / "index", videos=folder / "videos")
    return folder / "index"


def write_video(path: Path, rng: np.random.Generator) -> None:
    """Coarse noise, two frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 256, 192, "yuv420p"
        for number in range(2 * VIDEO_SECONDS):
            if number % 8 == 0:
                noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(32, axis=0).repeat(32, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))


def all_queries() -> Iterator[str]:
    """Texts as surgeons put them, none of them twice, in an order that is drawn."""
    parts = (
        ("the surgeon slowly", "the assistant", "carefully now one", "a second hand", "under high magnification one"),
        ("divides", "rotates", "polishes", "hydrates", "opens", "marks", "irrigates", "stretches", "inspects", "fills"),
        ("the hard nucleus", "the anterior capsule", "the clear cornea", "the small pupil", "the iris", "the bag"),
        ("in a child", "in a dense cataract", "after trauma", "with loose zonules", "in a shallow chamber", "at once"),
        tuple(f"for the {number} time" for number in range(40)),
    )
    texts = [" ".join(words) for words in product(*parts)]
    for place in np.random.default_rng(0).permutation(len(texts)):
        assert instrument_named(texts[place]) is None
        yield texts[place]


@dataclass(kw_only=True, slots=True)
class Bench:
    """What every comparison needs."""

    index: SearchIndex
    service: Serving
    plain: Serving
    queries: Iterator[str]
    requests: int

    def texts(self, count: int) -> tuple[str, ...]:
        """New ones."""
        texts = tuple(islice(self.queries, count))
        assert len(texts) == count
        return texts

    def mixed(self, known: Sequence[str], count: int) -> tuple[str, ...]:
        """Known ones in turn, and in their place now and then a new one."""
        places = range(count)
        new = iter(self.texts(len(places[::NEW_EVERY])))
        return tuple(known[place % len(known)] if place % NEW_EVERY else next(new) for place in places)

    def direct_ms(self) -> float:
        """What a search in this process takes, at the median."""
        taken = []
        for text in self.texts(self.requests // TURNS):
            began = time.perf_counter()
            self.index.search(text=text, k=K)
            taken.append(time.perf_counter() - began)
        return 1e3 * float(np.median(taken))

    def alone_ms(self) -> float:
        """What one over HTTP takes a single client, at the median."""
        answers = load(Order(port=self.service.port, texts=self.texts(self.requests // TURNS)))
        self.compare(answers)
        return quantile(answers, 50)

    def offline_pace(self) -> float:
        """Queries a second in this process, all texts encoded in batches first."""
        texts = self.texts(self.requests // TURNS)
        began = time.perf_counter()
        wordings = [group for text in texts for group in query_wordings(text)]
        vectors = self.index.loaded.embed_texts([one for group in wordings for one in group])
        for vector_d in vectors.reshape(len(texts), -1, vectors.shape[1]).mean(axis=1):
            self.index.search(vector=vector_d, k=K)
        return len(texts) / (time.perf_counter() - began)

    def pace(self, one: Serving, texts: Sequence[str] = ()) -> float:
        """Queries a second over HTTP by many clients that ask again when they are answered."""
        answers = load(Order(port=one.port, texts=tuple(texts) or self.texts(self.requests // TURNS), clients=CLIENTS))
        self.compare(answers)
        return pace_of(answers)

    def compare(self, answers: Sequence[Answer], *statuses: int) -> None:
        """See that every answer was given, and that those kept are what the library finds."""
        assert {answer.status for answer in answers} <= {200, *statuses}, Counter(one.status for one in answers)
        for answer in answers:
            if answer.body and answer.status == 200:
                found = self.index.search(text=answer.text, k=K)
                told = json.loads(answer.body)["hits"]
                assert [one["hit_id"] for one in told] == [hit.hit_id for hit in found], answer.text
                for one, hit in zip(told, found, strict=True):
                    assert abs(one["score"] - hit.score) < SAME_SCORE
                    assert all(one[name] == getattr(hit, name) for name in TOLD if name != "score"), (one, hit)


def pace_of(answers: Sequence[Answer]) -> float:
    """Searches answered in a second."""
    seconds = max(one.done_seconds for one in answers) - min(one.due_seconds for one in answers)
    return sum(one.status == 200 for one in answers) / seconds


def quantile(answers: Sequence[Answer], percent: float) -> float:
    """Milliseconds within which so many of those that were answered were."""
    return float(np.percentile([one.latency_ms for one in answers if one.status == 200], percent))


def compare_in_turn(bench: Bench) -> None:
    """Print what HTTP adds for one client."""
    ratios = told_ratios(bench.alone_ms, bench.direct_ms)
    tell("serving, one client: p50 over a direct call's", ratios, most=1.15)
    tell("serving, a direct call, p50, ms", [bench.direct_ms()])


def compare_at_once(bench: Bench) -> float:
    """Print how fast many clients are answered; returns queries a second."""
    asked = (partial(bench.pace, bench.service), bench.offline_pace, partial(bench.pace, bench.plain))
    _warm_up, *turns = [[ask() for ask in asked] for _ in range(1 + PAIRS)]
    name = f"serving, {CLIENTS} clients: queries a second"
    tell(f"{name} over offline batches'", [ours / offline for ours, offline, _plain in turns], least=0.9)
    tell(f"{name} over a plain handler's", [ours / plain for ours, _offline, plain in turns], least=2.0)
    paces = [ours for ours, *_peers in turns]
    tell(name, paces)
    return float(np.median(paces))


def arrivals(count: int, per_second: float, rng: np.random.Generator | None = None) -> tuple[float, ...]:
    """When requests are due: at even distances, or by chance where a generator is given; seconds."""
    gaps = np.full(count, 1 / per_second) if rng is None else rng.exponential(1 / per_second, count)
    return tuple(np.cumsum(gaps).tolist())


def measure_loaded(bench: Bench, texts: Sequence[str], due_seconds: tuple[float, ...], name: str) -> None:
    """Print the tail of the latencies over their median, both, and how late the client itself was."""
    answers = load(Order(port=bench.service.port, texts=tuple(texts), due_seconds=due_seconds))
    assert len(answers) == len(texts)
    bench.compare(answers)
    p50, p99 = quantile(answers, 50), quantile(answers, 99)
    tell(f"serving, {name}: p99 over p50", [p99 / p50], most=3.0)
    tell(f"serving, {name}: p50, ms", [p50])
    tell(f"serving, {name}: p99, ms", [p99])
    late_ms = float(np.percentile([one.late_ms for one in answers], 99))
    tell(f"serving, {name}: the client's own delay, p99, ms", [late_ms])


def measure_overload(bench: Bench, texts: Sequence[str], capacity: float) -> None:
    """Print what is left of the pace, and what memory grows by, where twice as much comes as can be answered."""
    before_mb = bench.service.rss_mb
    held_mb = [before_mb]
    due_seconds = arrivals(len(texts), OVERLOADED * capacity)
    order = Order(port=bench.service.port, texts=tuple(texts), due_seconds=due_seconds)
    answers = load(order, lambda: held_mb.append(bench.service.rss_mb))
    bench.compare(answers, 429)
    name = f"serving, {OVERLOADED:.0%} load"
    tell(f"{name}: queries a second over those of {CLIENTS} clients", [pace_of(answers) / capacity])
    tell(f"{name}: p99 of those answered, ms", [quantile(answers, 99)])
    tell(f"{name}: share refused", [sum(one.status == 429 for one in answers) / len(answers)])
    tell(f"{name}: MB of memory more than before", [max(held_mb) - before_mb], most=MOST_MB)
    assert max(held_mb) - before_mb < MOST_MB


def main() -> None:
    """Make the index, start what answers, compare."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: all sides encode on one thread"
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each open load")
    parser.add_argument("--plain", type=Path, help="an index, to be answered for by the plain handler")
    given = parser.parse_args()
    if given.plain is not None:
        answer_plainly(given.plain)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        index = make_index(folder)
        serve = ("ophclip.cli", "serve", str(index), "--port", "0", "threads=1")
        plainly = ("benchmarks.serving", "--plain", str(index))
        with (
            open_index(index) as opened,
            started(folder / "service.log", *serve) as service,
            started(folder / "plain.log", *plainly) as plain,
        ):
            measure(Bench(index=opened, service=service, plain=plain, queries=all_queries(), requests=given.requests))


def measure(bench: Bench) -> None:
    """All figures; loads are shares of what many clients get answered at their best."""
    compare_in_turn(bench)
    capacity = compare_at_once(bench)
    requests, few = bench.requests, bench.requests // 20
    measure_loaded(bench, bench.texts(few), arrivals(few, LOADED * capacity), f"{LOADED:.0%} load, all texts new")
    known = bench.texts(KNOWN_TEXTS)
    bench.pace(bench.service, known)
    capacity = bench.pace(bench.service, bench.mixed(known, requests // 8))
    tell(f"serving, 1 text in {NEW_EVERY} new, {CLIENTS} clients: queries a second", [capacity])
    even = arrivals(requests, LOADED * capacity)
    measure_loaded(bench, bench.mixed(known, requests), even, f"{LOADED:.0%} load, 1 text in {NEW_EVERY} new")
    by_chance = arrivals(requests // 8, LOADED * capacity, np.random.default_rng(0))
    measure_loaded(bench, bench.mixed(known, len(by_chance)), by_chance, f"{LOADED:.0%} load, the same by chance")
    measure_overload(bench, bench.mixed(known, requests), capacity)


if __name__ == "__main__":
    main()
