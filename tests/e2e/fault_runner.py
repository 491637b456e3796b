"""Breaks an ingest at chosen points and lets it go on: `python fault_runner.py SOURCE WORK STEP`, a line of JSON each.

Every attempt runs in a forked process, so that a point costs a fraction of a second. Videos are decoded, text and
shards are written for real; only the pool of processes is replaced by a loop, so that one count covers it all.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import resource
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ingest.card.write
import ingest.manifest
import ingest.pack
import ingest.pool
import ingest.run
import ingest.shards.format
import ingest.stage
import ingest.text.tools
import ingest.work
from ingest.config import (
    DuplicatesConfig,
    FilterConfig,
    IngestConfig,
    OverlayConfig,
    ScreenConfig,
    ScreenKind,
    ShardsConfig,
)
from ingest.manifest import MANIFEST_NAME, Manifest
from ingest.pack import SHARDS
from ingest.shards import ShardReader

WATCHED = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
CHANGING = ("started_at", "finished_at", "attempts", "decode_seconds", "asr_seconds", "write_seconds")


class Faults:
    """Counts what touches the corpus, and strikes at one number."""

    def __init__(self, corpus: Path, at: int, strike: Callable[[], None]) -> None:
        self._corpus = str(corpus)
        self._at = at
        self._strike = strike
        self.count = 0

    def event(self) -> None:
        self.count += 1
        if self.count == self._at:
            self._strike()

    def audited(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in WATCHED and arguments and str(arguments[0]).startswith(self._corpus):
            self.event()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(code: int) -> Callable[[], None]:
    def strike() -> None:
        raise OSError(code, os.strerror(code))

    return strike


def deaf(_config: object) -> Any:
    """The videos carry tones: nobody has to hear anything."""
    return None


def jumping_clock(_folder: Path) -> None:
    """Let every look at the wall clock find it hours further or hours back."""
    true, jumps = time.time, itertools.cycle((0, 5, -7, 1, -1, 48, -30))
    time.time = lambda: true() + 3600.0 * next(jumps)  # type: ignore[assignment]


def watch(faults: Faults) -> None:
    """Let every touch of the corpus count: files, folders, flushes, statements, samples."""
    sys.addaudithook(faults.audited)
    connect, fsync, add = sqlite3.connect, os.fsync, ingest.shards.format._add_bytes

    def connected(*given: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*given, **options)
        connection.set_trace_callback(lambda _statement: faults.event() if faults._strike is kill else None)
        return connection

    def synced(descriptor: int) -> None:
        faults.event()
        fsync(descriptor)

    def added(*given: Any) -> None:
        faults.event()
        add(*given)

    sqlite3.connect = connected  # type: ignore[assignment]
    os.fsync = synced  # type: ignore[assignment]
    ingest.shards.format._add_bytes = added


def run(source: Path, corpus: Path) -> None:
    config = IngestConfig(
        shards=ShardsConfig(fps=1.0, video_frames=3, short_side_px=32, samples_per_shard=2),
        filter=FilterConfig(enabled=False),
        screen=ScreenConfig(kind=ScreenKind.OFF),
        duplicates=DuplicatesConfig(enabled=False),
        overlays=OverlayConfig(enabled=False),
        transcripts=str(source / "words"),
    )
    ingest.run.ingest(source, corpus, config)


def attempt(work: Callable[[], object], prepare: Callable[[], Faults | None]) -> tuple[int, str, int]:
    """Work in a process of its own: its wait status, what it said, and how much it counted."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        faults, said = None, ""
        try:
            faults = prepare()
            work()
        except ValueError as error:
            said = str(error)
        except BaseException as error:  # noqa: BLE001 whatever else comes out is what the test wants to see
            said = f"{type(error).__name__}: {error}"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        os.write(writer, json.dumps([said, faults.count if faults else 0]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        answer = answers.read()
    _child, status = os.waitpid(child, 0)
    said, count = json.loads(answer) if answer else ("", 0)
    return status, said, count


def snapshot(corpus: Path) -> dict[str, Any]:
    """All that has to be the same, whatever happened before."""
    files = {path.name: path.read_bytes().hex() for path in sorted((corpus / SHARDS).iterdir())}
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        tables = {}
        for name in ("videos", "clips", "rejections", "transcripts"):
            columns, rows = manifest.table(name)
            kept = [place for place, column in enumerate(columns) if column not in CHANGING]
            tables[name] = [[row[place] for place in kept] for row in rows]
    left = sorted(path.name for path in corpus.iterdir() if not path.name.startswith(MANIFEST_NAME))
    return {
        "files": files,
        "tables": tables,
        "left": left,
        "staged": [path.name for path in (corpus / "staging").iterdir()],
    }


def visible_shards_are_whole(corpus: Path) -> bool:
    """What a reader would find after the fault: nothing, or a whole set."""
    if not (corpus / SHARDS).exists():
        return True
    reader = ShardReader(corpus)
    reader.verify()
    reader.close()
    return True


def points(
    total: int, errors: int, largest: int, step: int
) -> Iterator[tuple[str, int, Callable[[Path], Faults | None]]]:
    """Where and how to break."""

    def watched(at: int, strike: Callable[[], None]) -> Callable[[Path], Faults]:
        def prepare(corpus: Path) -> Faults:
            faults = Faults(corpus, at, strike)
            watch(faults)
            return faults

        return prepare

    def limited(size: int) -> Callable[[Path], None]:
        return lambda _corpus: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    yield "clock", 0, jumping_clock
    for at in range(1, total + 1, step):
        yield "kill", at, watched(at, kill)
    for at in range(1, errors + 1, 2 * step):
        code = (errno.ENOSPC, errno.EIO)[at // 2 % 2]
        yield errno.errorcode[code], at, watched(at, fail(code))
    for share in range(0, 40, 3 * step):
        size = round(largest * share / 40)
        yield "disk full", size, limited(size)


def main(source: Path, work: Path, step: int) -> None:
    run(source, work / "warm")  # word lists, pronunciations, models: what a process reads once, forked ones need not
    whole = work / "whole"
    into = partial(partial, run, source)
    status, said, total = attempt(into(whole), lambda: _counted(whole, kill))
    assert (status, said) == (0, ""), (status, said)
    expected = snapshot(whole)
    shutil.rmtree(whole)
    _status, _said, errors = attempt(into(whole), lambda: _counted(whole, fail(errno.EIO)))
    assert snapshot(whole) == expected, "two undisturbed runs differ"
    largest = max(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    for kind, at, prepare in points(total, errors, largest, step):
        corpus = work / "broken"
        status, said, count = attempt(into(corpus), lambda: prepare(corpus))  # noqa: B023 called at once
        if kind == "kill" and status == 0 and count < at:
            shutil.rmtree(corpus)
            continue  # a quicker run than the one counted, with fewer notes of progress: it was over before the point
        clean = visible_shards_are_whole(corpus)
        again = attempt(into(corpus), lambda: None)
        same = again[:2] == (0, "") and snapshot(corpus) == expected
        print(json.dumps([kind, at, status, said, clean, same, again[1]]), flush=True)  # noqa: T201
        shutil.rmtree(corpus)


def _counted(corpus: Path, strike: Callable[[], None]) -> Faults:
    faults = Faults(corpus, 0, strike)
    watch(faults)
    return faults


if __name__ == "__main__":
    ingest.work.run_pool = ingest.pool.run_here  # type: ignore[assignment]
    ingest.stage.build_transcriber = deaf
    lexicon = ingest.text.tools.load_lexicon(IngestConfig().lexicons)
    ingest.text.tools.load_lexicon = lambda _names: lexicon  # read once; by it its pronunciations are known again
    ingest.card.write._histogram = lambda _seconds: b""  # drawing it takes longer than all the rest
    with contextlib.suppress(KeyboardInterrupt):
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
