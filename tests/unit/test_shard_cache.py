"""Shards behind an address: fetched whole, compared, kept, dropped; a storage in memory, and a real S3 server."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import fsspec
import pytest
import torch
from small_corpus import write_corpus

from ingest.records import Level
from ingest.shards import CachedShards, ShardReader
from ingest.sources import remote
from ophclip.config import DataConfig
from ophclip.data.files import open_corpus
from ophclip.data.module import CorpusDataModule
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig

MODEL = ModelConfig(
    name="tiny",
    embed_dim=32,
    visual=VisualConfig(name="tiny", image_size_px=32),
    text=TextConfig(name="tiny", context_length=16),
)
ADDRESS = "memory://bucket/corpus"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", samples_per_shard=3)


@pytest.fixture
def memory(corpus: Path) -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.put(str(corpus), "/bucket/corpus", recursive=True)
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What is fetched from the storage, from which byte on."""
    calls: list[tuple[str, int]] = []
    blocks = remote.blocks

    def counted(location: str, start: int = 0) -> Iterator[bytes]:
        calls.append((location.rsplit("/", 1)[-1], start))
        return blocks(location, start)

    monkeypatch.setattr("ingest.shards.cache.blocks", counted)
    return calls


def reader(cache: Path, limit_bytes: int = 10**9, address: str = ADDRESS) -> ShardReader:
    return ShardReader(CachedShards(address, cache, limit_bytes))


def keys(of: ShardReader) -> list[str]:
    return [entry.key for level in Level for entry in of.entries(level)]


def test_a_remote_corpus_is_the_local_one(
    memory: fsspec.AbstractFileSystem, corpus: Path, tmp_path: Path, asked: list[tuple[str, int]]
) -> None:
    local, remote_reader = ShardReader(corpus), reader(tmp_path / "cache")
    assert len(remote_reader.shards) > 4
    assert keys(remote_reader) == keys(local)
    assert remote_reader.fingerprint == local.fingerprint
    for _ in range(2):
        for key in keys(local):
            assert remote_reader.read(key) == local.read(key)
            assert remote_reader.text(key) == local.text(key)
    assert sorted(asked) == sorted((shard.name, 0) for shard in local.shards), "each shard is fetched once"
    remote_reader.verify()
    twin = pickle.loads(pickle.dumps(reader(tmp_path / "cache", address=f"{ADDRESS}/shards/")))  # noqa: S301 our own
    memory.rm("/bucket/corpus/shards/clip-000000.tar")
    assert twin.read(keys(local)[0]) == local.read(keys(local)[0])
    assert {path.suffix for path in (tmp_path / "cache").iterdir() if path.is_file()} == {".tar"}


def test_only_what_is_touched_is_fetched(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, asked: list[tuple[str, int]]
) -> None:
    of = reader(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    (told,) = of.notices()
    assert "GB will be fetched into" in told
    of.read(of.entries(Level.CLIP)[0].key)
    assert asked == [("clip-000000.tar", 0)]


@pytest.mark.parametrize("left", ["half", "all", "more", "wrong"])
def test_what_a_killed_process_left_is_gone_on_with(
    memory: fsspec.AbstractFileSystem, corpus: Path, tmp_path: Path, asked: list[tuple[str, int]], left: str
) -> None:
    of = reader(tmp_path / "cache")
    shard = of.shards[0]
    whole = (corpus / "shards" / shard.name).read_bytes()
    half = len(whole) // 2
    part = tmp_path / "cache" / f"{shard.sha256}.part"
    part.parent.mkdir()
    part.write_bytes({"half": whole[:half], "all": whole, "more": whole + b"x", "wrong": b"x" * half}[left])
    assert of.read(of.entries(Level.CLIP)[0].key).text
    starts = {"half": [half], "all": [len(whole)], "more": [len(whole), 0], "wrong": [half, 0]}[left]
    assert asked == [(shard.name, start) for start in starts]
    assert not part.exists()
    assert part.with_suffix(".tar").read_bytes() == whole


def test_other_bytes_than_the_index_says_are_refused_and_not_kept(
    memory: fsspec.AbstractFileSystem, corpus: Path, tmp_path: Path
) -> None:
    data = bytearray((corpus / "shards" / "clip-000000.tar").read_bytes())
    data[700] ^= 1
    memory.pipe("/bucket/corpus/shards/clip-000000.tar", bytes(data))
    of = reader(tmp_path / "cache")
    with pytest.raises(
        ValueError, match=r"^memory://bucket/corpus/shards/clip-000000\.tar: the bytes that come differ"
    ):
        of.read(of.entries(Level.CLIP)[0].key)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_file()]
    memory.pipe("/bucket/corpus/shards/clip-000000.tar", bytes(data[:-512]))
    with pytest.raises(ValueError, match=r"clip-000000\.tar has \d+ bytes, its index says \d+"):
        reader(tmp_path / "cache")
    memory.rm("/bucket/corpus/shards/clip-000000.tar")
    with pytest.raises(ValueError, match=r"clip-000000\.tar is missing, its index says"):
        reader(tmp_path / "cache")


def test_shards_used_longest_ago_are_dropped(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, asked: list[tuple[str, int]]
) -> None:
    cache = tmp_path / "cache"
    size = max(shard.size_bytes for shard in reader(cache).shards if shard.level is Level.CLIP)
    of = reader(cache, limit_bytes=2 * size)
    assert "what was dropped is fetched again and again" in of.notices()[1]
    clips = [entry.key for entry in of.entries(Level.CLIP)]
    first, second, third = clips[0], clips[3], clips[6]
    stale = cache / ("0" * 64 + ".part")
    of.read(first)
    stale.write_bytes(b"x" * size)
    os.utime(stale, (1, 1))
    for number, (key, path) in enumerate([(second, "1"), (first, "0")]):
        of.read(key)
        os.utime(cache / f"{of.shards[int(path)].sha256}.tar", (100 + number, 100 + number))
    assert not stale.exists(), "what nobody has written to for long is dropped too"
    of.read(third)
    held = {path.stem for path in cache.glob("*.tar")}
    assert held == {of.shards[0].sha256, of.shards[2].sha256}, "the second was used longest ago"
    of.read(first)
    assert [name for name, _ in asked] == [f"clip-00000{number}.tar" for number in (0, 1, 2)]
    tiny = reader(cache, limit_bytes=1)
    for key in (*clips, *clips):
        assert tiny.read(key).key == key
    assert len(list(cache.glob("*.tar"))) == 1, "the shard just fetched is kept whatever the limit"


def test_a_byte_that_flips_in_the_cache_is_found_and_the_shard_fetched_anew(
    memory: fsspec.AbstractFileSystem, corpus: Path, tmp_path: Path, asked: list[tuple[str, int]]
) -> None:
    cache, local = tmp_path / "cache", ShardReader(corpus)
    first = reader(cache)
    key, shard = keys(first)[0], first.shards[0]
    first.read(key)
    path = cache / f"{shard.sha256}.tar"
    data = bytearray(path.read_bytes())
    place = local.place_of(key)
    data[place.frames_offset + place.frames_bytes // 2] ^= 1  # a picture that would decode, as another one
    path.write_bytes(data)
    assert reader(cache).read(key) == local.read(key)
    assert path.read_bytes() == (corpus / "shards" / shard.name).read_bytes()
    path.write_bytes(data[:-700])
    assert pickle.loads(pickle.dumps(reader(cache))).read(key) == local.read(key)  # noqa: S301 our own
    assert asked == [(shard.name, 0)] * 3
    path.write_bytes(data)
    stored = bytearray((corpus / "shards" / shard.name).read_bytes())
    stored[99] ^= 1
    memory.pipe(f"/bucket/corpus/shards/{shard.name}", bytes(stored))
    with pytest.raises(ValueError, match=r"the bytes that come differ .*: delete it there and publish the corpus"):
        reader(cache).read(key)
    assert len(asked) == 5, "once more, and no third time"
    assert not list(cache.glob("*.tar"))


@pytest.mark.parametrize("shards", [1.0, 2.5])
def test_the_limit_is_kept_while_many_fetch_at_once(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: float
) -> None:
    cache = tmp_path / "cache"
    limit = int(shards * max(shard.size_bytes for shard in reader(cache).shards))
    blocks, most = remote.blocks, []

    def slow(location: str, start: int = 0) -> Iterator[bytes]:
        for block in blocks(location, start):
            yield block[: len(block) // 2]
            most.append(sum(path.stat().st_size for path in cache.iterdir() if path.is_file()))
            time.sleep(0.02)
            yield block[len(block) // 2 :]

    monkeypatch.setattr("ingest.shards.cache.blocks", slow)
    of = reader(cache, limit)
    with ThreadPoolExecutor(6) as pool:
        for key, sample in zip(keys(of) * 2, pool.map(of.read, keys(of) * 2), strict=True):
            assert sample.key == key
    assert 0 < max(most) <= limit
    assert sum(path.stat().st_size for path in cache.glob("*.*")) <= limit
    assert len(most) > len(of.shards), "what made way was fetched again"


def test_a_full_disk_is_told_and_what_came_is_gone_on_with(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    of = reader(tmp_path / "cache")
    part = tmp_path / "cache" / f"{of.shards[0].sha256}.part"
    part.parent.mkdir()
    part.symlink_to("/dev/full")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"cache of shards cannot be used \(No space left on device\): free space"):
            of.read(keys(of)[0])
    part.unlink()
    assert of.read(keys(of)[0]).key == keys(of)[0]


def read_all(cache: Path, fetches: Path, number: int) -> None:
    """In a process of its own: note each fetch, read everything."""
    blocks = remote.blocks

    def noted(location: str, start: int = 0) -> Iterator[bytes]:
        (fetches / f"{location.rsplit('/', 1)[-1]} {os.getpid()}").touch()
        return blocks(location, start)

    import ingest.shards.cache as module

    module.blocks = noted
    of = reader(cache)
    order = keys(of) if number % 2 else list(reversed(keys(of)))
    assert [of.read(key).key for key in order] == order


def test_processes_and_threads_fetch_each_shard_once(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    fetches = tmp_path / "fetches"
    fetches.mkdir()
    processes = [
        multiprocessing.get_context("fork").Process(target=read_all, args=(tmp_path / "cache", fetches, number))
        for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    of = reader(tmp_path / "other")
    assert len(list(fetches.iterdir())) == len(of.shards)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda key: of.read(key).key, keys(of))) == keys(of)


def test_a_cache_that_cannot_be_written_is_told(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    of = reader(tmp_path / "file")
    with pytest.raises(ValueError, match=r"file: the cache of shards cannot be used \(Not a directory\): free space"):
        of.read(keys(of)[0])


def test_training_batches_come_from_an_address_as_from_a_folder(
    memory: fsspec.AbstractFileSystem, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"clip_batch": 4, "video_batch": 3, "clip_frames": 2, "video_frames": 3}
    here = CorpusDataModule(DataConfig(root=f"file://{corpus}", workers=0, **options), MODEL, seed=0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    there = CorpusDataModule(DataConfig(root=ADDRESS, workers=2, **options), MODEL, seed=0)
    for one, other in islice(zip(here.train_dataloader(), there.train_dataloader(), strict=False), 6):
        assert one.keys == other.keys
        assert torch.equal(one.frames_btchw, other.frames_btchw)
    assert len(list((tmp_path / "home" / "ophclip" / "shards").glob("*.tar"))) == len(here.reader.shards)


def test_an_address_without_a_corpus_is_told_in_one_line(memory: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(
        ValueError, match=r"^memory://bucket/nowhere: no shards/index\.json there, no corpus: check"
    ) as told:
        open_corpus(DataConfig(root="memory://bucket/nowhere"))
    assert "\n" not in str(told.value)
    with pytest.raises(ValueError, match=r"^nonsense://x.*is not known"):
        open_corpus(DataConfig(root="nonsense://x"))


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_a_bucket_is_read_over_the_wire(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    system = fsspec.filesystem("s3")
    system.mkdir("trust")
    system.put(str(corpus), "trust/corpus", recursive=True)
    options = {"clip_batch": 4, "video_batch": 3, "clip_frames": 2, "video_frames": 3, "cache": str(cache)}
    here = CorpusDataModule(DataConfig(root=str(corpus), workers=0, **options), MODEL, seed=0)
    there = CorpusDataModule(DataConfig(root="s3://trust/corpus", workers=2, **options), MODEL, seed=0)
    for one, other in islice(zip(here.train_dataloader(), there.train_dataloader(), strict=False), 6):
        assert one.keys == other.keys
        assert torch.equal(one.frames_btchw, other.frames_btchw)
    assert there.load_videos(["silent1"]).keys == ("silent1",)
    assert there.reader.fingerprint == here.reader.fingerprint
    shard = here.reader.shards[0]
    whole = (corpus / "shards" / shard.name).read_bytes()
    (cache / f"{shard.sha256}.tar").unlink()
    (cache / f"{shard.sha256}.part").write_bytes(whole[:700])
    there.reader.verify()
    assert (cache / f"{shard.sha256}.tar").read_bytes() == whole
    with pytest.raises(ValueError, match="no corpus: check the address") as told:
        open_corpus(DataConfig(root="s3://no-such-bucket/corpus"))
    assert "\n" not in str(told.value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(cache / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(cache / "none"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(ValueError, match=r"s3://trust/corpus.*cannot be read") as told:
        open_corpus(DataConfig(root="s3://trust/corpus"))
    assert "\n" not in str(told.value)
