"""Kills a purge at points spread over all of it, and runs it again: `python purge_runner.py TEMPLATE WORK POINTS`.

Every attempt is a forked process; a line of JSON each says what is left and whether the others are whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from purge_world import VICTIM, said_over, title_of
from test_purge_run import SIGNED, copied, folders, purged, raw_leftovers

from ingest.ledger import INTENT_NAME, read_ledger
from ingest.manifest import MANIFEST_NAME, Manifest
from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.purging.run import plan_purge
from ophclip.search.index import open_index
from ophclip.training.checkpoints import newest_checkpoint

WATCHED = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sqlite3.connect")


class Counter:
    """Counts what touches the world and kills the process at one number."""

    def __init__(self, root: Path, at: int) -> None:
        self.root, self.at, self.count = str(root), at, 0

    def event(self, *_given: Any) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def audited(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in WATCHED and arguments and str(arguments[0]).startswith(self.root):
            self.event()


def attempt(root: Path, at: int) -> tuple[bool, int]:
    """Purge in a forked process that is killed at event `at`; whether it was, and how many events there were."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        counter = Counter(root, at)
        sys.addaudithook(counter.audited)
        connect, fsync = sqlite3.connect, os.fsync

        def connected(*given: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*given, **options)
            connection.set_trace_callback(counter.event)
            return connection

        def synced(descriptor: int) -> None:
            counter.event()
            fsync(descriptor)

        sqlite3.connect, os.fsync = connected, synced  # type: ignore[assignment]
        try:
            purged(root)
            os.write(writing, str(counter.count).encode())
        finally:
            os._exit(0 if counter.count else 1)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        return os.WIFSIGNALED(status), int(told.read() or 0)


def state(root: Path) -> dict[str, Any]:
    """What is left of the video, how many records there are, and a checksum over all that must have stayed."""
    sentence = said_over(VICTIM)
    needles = [VICTIM.encode(), sentence.encode(), json.dumps(sentence)[1:-1].encode(), title_of(VICTIM).encode()]
    reader = ShardReader(root / "corpus")
    reader.verify()
    digest = hashlib.sha256(reader.fingerprint.encode())
    for level in Level:
        for entry in reader.entries(level):
            digest.update(repr(reader.read(entry.key)).encode())
    reader.close()
    with Manifest(root / "corpus" / MANIFEST_NAME) as manifest:
        digest.update(repr([row.video_id for row in manifest.videos()]).encode())
    with open_index(root / "index") as index:
        for video in index.videos():
            digest.update(repr((video.video_id, index.window_vectors(video.video_id)[1].tobytes())).encode())
    checkpoint = newest_checkpoint(root / "run" / "checkpoints")
    assert checkpoint is not None
    digest.update(checkpoint.bank["title_nd"].numpy().tobytes())
    left = raw_leftovers(root, needles)
    left += [INTENT_NAME] if (root / "corpus" / INTENT_NAME).exists() else []
    return {"left": left, "records": len(read_ledger(root / "corpus")), "others": digest.hexdigest()}


def main() -> None:
    template, work, points = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    killed, total = attempt(copied(template, work), at=-1)
    assert not killed
    assert total > points, total
    print(json.dumps({"at": 0, "killed": False, **state(work)}), flush=True)  # noqa: T201
    for number in range(1, points + 1):
        shutil.rmtree(work)
        at = number * total // points
        killed, _ = attempt(copied(template, work), at=at)
        if killed and not (work / "corpus" / INTENT_NAME).exists() and read_ledger(work / "corpus"):
            pass  # killed after its very last step
        elif killed:
            plan_purge(VICTIM, folders(work), **SIGNED)
            purged(work)
        print(json.dumps({"at": at, "killed": killed, **state(work)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
