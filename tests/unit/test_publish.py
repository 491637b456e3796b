"""A corpus put on a bucket: the old one or the new one whole, whatever happens in between; a storage in memory."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from small_corpus import write_corpus

import ingest.publish
from ingest.ledger import append_record
from ingest.publish import publish
from ingest.records import Level
from ingest.shards import CachedShards, ShardReader, remove_videos
from ingest.sources import SourceError

ADDRESS = "memory://clinic/corpus"


class DeadError(Exception):
    """Said to whoever goes on asking after it was killed."""


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.makedirs("/clinic")
    yield system
    system.rm("/clinic", recursive=True)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "old", samples_per_shard=3)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "new", clips=(3, 5, 4), silent=1, samples_per_shard=3)


def reader(cache: Path, limit_bytes: int = 10**9) -> ShardReader:
    return ShardReader(CachedShards(ADDRESS, cache, limit_bytes))


def keys(of: ShardReader) -> list[str]:
    return [entry.key for level in Level for entry in of.entries(level)]


def tars(memory: fsspec.AbstractFileSystem) -> set[str]:
    return {
        name.rsplit("/", 1)[-1] for name in memory.ls("/clinic/corpus/shards", detail=False) if name.endswith("tar")
    }


def test_what_is_published_is_the_corpus(memory: fsspec.AbstractFileSystem, old: Path, tmp_path: Path) -> None:
    local = ShardReader(old)
    done = publish(old, ADDRESS)
    assert (done.shards, done.sent, done.dropped) == (len(local.shards), len(local.shards), 0)
    there = reader(tmp_path / "cache")
    assert keys(there) == keys(local)
    assert [there.read(key) for key in keys(local)] == [local.read(key) for key in keys(local)]
    assert there.fingerprint == local.fingerprint
    there.verify()
    assert {shard.name for shard in there.shards} == tars(memory)
    assert all(shard.name.endswith(f"-{shard.sha256[:8]}.tar") for shard in there.shards)
    before = memory.find("/clinic", detail=True)
    again = publish(old, f"{ADDRESS}/shards/")
    assert (again.sent, again.dropped) == (0, 0)
    assert memory.find("/clinic", detail=True) == before, "nothing is written where nothing changed"


def test_a_reader_under_way_keeps_its_corpus_while_another_is_published(
    memory: fsspec.AbstractFileSystem, old: Path, new: Path, tmp_path: Path
) -> None:
    publish(old, ADDRESS)
    under_way, small = reader(tmp_path / "a"), reader(tmp_path / "b", limit_bytes=1)
    assert publish(new, ADDRESS).sent > 0
    expected = ShardReader(old)
    for of in (under_way, small):
        assert [of.read(key) for key in keys(expected)] == [expected.read(key) for key in keys(expected)]
    assert keys(reader(tmp_path / "a")) == keys(ShardReader(new))
    assert publish(new, ADDRESS, keep_days=0).dropped > 0
    assert tars(memory) == {shard.name for shard in reader(tmp_path / "a").shards}
    replaced = next(key for key in keys(expected) if small.shard_of(key).rsplit("/", 1)[-1] not in tars(memory))
    with pytest.raises(ValueError, match=r"\.tar is gone: another corpus was published there .*: open it again$"):
        small.read(replaced)
    assert under_way.read(replaced) == expected.read(replaced), "it is in the cache"


def test_old_shards_stay_as_long_as_is_said(
    memory: fsspec.AbstractFileSystem, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/clinic/corpus/shards/notes.tar", b"somebody's own")
    publish(old, ADDRESS)
    publish(new, ADDRESS)
    memory.pipe("/clinic/corpus/shards/clip-000009-0badc0de.tar", b"sent by a run that was killed")
    both = tars(memory)
    now = datetime.now(UTC)

    for days, left in ((6.9, both), (7.1, {"notes.tar", *_named(memory)})):
        later = type("Later", (datetime,), {"now": lambda _zone, moment=now + timedelta(days=days): moment})
        monkeypatch.setattr(ingest.publish, "datetime", later)
        publish(new, ADDRESS)
        assert tars(memory) == left
    names = {name.rsplit("/", 1)[-1] for name in memory.find("/clinic")}
    assert names == {"index.json", "notes.tar", *_named(memory)}, "what noted the old ones is gone too"


def _named(memory: fsspec.AbstractFileSystem) -> set[str]:
    return {shard["name"] for shard in json.loads(memory.cat("/clinic/corpus/shards/index.json"))["shards"]}


def test_readers_find_the_old_corpus_or_the_new_one_wherever_publishing_ends(
    memory: fsspec.AbstractFileSystem, old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = math.inf

    def step() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise DeadError

    for name in ("put_file", "pipe_file", "rm_file", "ls", "modified", "_open"):
        monkeypatch.setattr(MemoryFileSystem, name, counted(getattr(MemoryFileSystem, name), step))
    publish(old, ADDRESS, keep_days=0)
    expected = {ShardReader(place).fingerprint: keys(ShardReader(place)) for place in (old, new)}
    seen: list[str] = []
    for point in itertools.count():
        publish(old, ADDRESS, keep_days=0)
        left = point
        with suppress(SourceError):
            publish(new, ADDRESS, keep_days=0)
        killed = left < 0
        left = math.inf
        found = reader(tmp_path / "cache")
        found.verify()
        assert keys(found) == expected[found.fingerprint]
        seen.append(found.fingerprint)
        publish(new, ADDRESS, keep_days=0)
        found = reader(tmp_path / "cache")
        found.verify()
        assert found.fingerprint == ShardReader(new).fingerprint
        assert tars(memory) == {shard.name for shard in found.shards}
        if not killed:
            break
    assert len(seen) > 15
    changes = [one != other for one, other in itertools.pairwise(seen)]
    assert sum(changes) == 1, "old up to one request, new from then on"


def counted(method: Any, step: Any) -> Any:
    def called(*given: Any, **options: Any) -> Any:
        step()
        return method(*given, **options)

    return called


def test_what_was_purged_is_named_until_it_is_gone(
    memory: fsspec.AbstractFileSystem, old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(old, ADDRESS)
    remove_videos(old / "shards", ["narrated1"])
    append_record(old, {"purge": "1", "content_sha256": [], "when": "2026-11-26", "signed_off_by": "N", "reason": "-"})
    with caplog.at_level(logging.WARNING):
        publish(old, ADDRESS)
    assert "stay there for 7 days and may hold what was purged since: --keep-days 0" in caplog.text
    assert any(b"narrated1" in memory.cat(name) for name in memory.find("/clinic"))
    caplog.clear()
    publish(old, ADDRESS, keep_days=0)
    assert not caplog.text
    assert not any(b"narrated1" in memory.cat(name) for name in memory.find("/clinic"))


def test_a_damaged_shard_is_not_published(memory: fsspec.AbstractFileSystem, old: Path, new: Path) -> None:
    publish(old, ADDRESS)
    before = memory.cat("/clinic/corpus/shards/index.json")
    path = new / "shards" / "clip-000001.tar"
    data = bytearray(path.read_bytes())
    data[999] ^= 4
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"clip-000001\.tar: its bytes differ .*nothing was published: restore it"):
        publish(new, ADDRESS)
    assert memory.cat("/clinic/corpus/shards/index.json") == before


@pytest.mark.parametrize("address", ["bucket/corpus", "file:///tmp/x", "nonsense://x/y", "s3://me:secret@bucket/x"])
def test_what_is_no_bucket_is_told_in_one_line(old: Path, address: str) -> None:
    with pytest.raises(ValueError, match=r"^\w+://[^@\n]*$|no address of a bucket") as raised:
        publish(old, address)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_corpus_is_told_and_not_made_one(tmp_path: Path, old: Path) -> None:
    with pytest.raises(ValueError, match=r"no corpus: make one with"):
        publish(tmp_path / "nothing", ADDRESS)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(ValueError, match=r"--keep-days: nan given, 0 or more expected"):
        publish(old, ADDRESS, keep_days=float("nan"))
    (old / ".purging.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a purge has not ended"):
        publish(old, ADDRESS)
