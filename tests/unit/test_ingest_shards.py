"""The shard format: what goes in comes out, the same bytes each time, and damage is said in one line."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ingest.records import Level, Sample
from ingest.shards import (
    ShardReader,
    ShardWriter,
    decode_jpeg,
    encode_jpeg,
    pack_jpegs,
    read_tar,
    unpack_jpegs,
    write_staged,
)


def picture(seed: int, height: int = 24, width: int = 32) -> bytes:
    return encode_jpeg(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def clip(video_id: str, start: float, text: str = "the capsule is opened") -> Sample:
    return Sample(
        key=f"{video_id}-{int(start * 1000):08d}",
        level=Level.CLIP,
        video_id=video_id,
        narrated=True,
        start_seconds=start,
        end_seconds=start + 3.25,
        text=text,
        frame_seconds=(start, start + 0.5),
        jpegs=(picture(1), picture(2)),
        license="CC BY 4.0",
        source=f"{video_id}.mp4",
    )


def video(video_id: str, narrated: bool = True) -> Sample:
    return replace(clip(video_id, 0.0), key=video_id, level=Level.VIDEO, narrated=narrated, text="Ein Öl-Titel")


def write(root: Path, samples: list[Sample], samples_per_shard: int = 2) -> ShardReader:
    with ShardWriter(root, samples_per_shard) as writer:
        for sample in samples:
            writer.add(sample)
    return ShardReader(root)


SAMPLES = [clip("a", 0.5), clip("a", 4.0), clip("b", 1.0), video("a"), video("b"), video("c", narrated=False)]


def test_every_sample_is_read_back_by_key(tmp_path: Path) -> None:
    reader = write(tmp_path, SAMPLES)
    assert [reader.read(sample.key) for sample in SAMPLES] == SAMPLES
    assert [entry.key for entry in reader.entries(Level.CLIP)] == ["a-00000500", "a-00004000", "b-00001000"]
    assert [entry.narrated for entry in reader.entries(Level.VIDEO)] == [True, True, False]
    reader.verify()
    reader.close()


def test_same_samples_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1", SAMPLES), write(tmp_path / "2", SAMPLES)
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "2").iterdir())
    assert names == ["clip-000000.tar", "clip-000001.tar", "index.json", "video-000000.tar", "video-000001.tar"]
    for name in names:
        digests = {hashlib.sha256((tmp_path / run / name).read_bytes()).hexdigest() for run in "12"}
        assert len(digests) == 1, name
    assert first.fingerprint == second.fingerprint
    third = write(tmp_path / "3", [replace(SAMPLES[0], text="another"), *SAMPLES[1:]])
    assert third.fingerprint != first.fingerprint


# webdataset itself leaves the tar to the garbage collector
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_stock_webdataset_reads_the_same_samples(tmp_path: Path) -> None:
    import webdataset

    reader = write(tmp_path, SAMPLES)
    for level in (Level.CLIP, Level.VIDEO):
        tars = sorted(str(path) for path in tmp_path.glob(f"{level.value}-*.tar"))
        rows = list(webdataset.WebDataset(tars, shardshuffle=False, empty_check=False))
        assert [row["__key__"] for row in rows] == [entry.key for entry in reader.entries(level)]
        for row in rows:
            block, sample = row["frames"], reader.read(row["__key__"])
            (count,) = struct.unpack_from("<I", block)
            lengths = struct.unpack_from(f"<{count}I", block, 4)
            ends = [4 + 4 * count + sum(lengths[: number + 1]) for number in range(count)]
            jpegs = [block[end - length : end] for end, length in zip(ends, lengths, strict=True)]
            pictures = [np.asarray(Image.open(BytesIO(jpeg)).convert("RGB")) for jpeg in jpegs]
            assert all(map(np.array_equal, pictures, map(decode_jpeg, sample.jpegs)))
            facts = json.loads(row["json"])
            facts.update(level=level, jpegs=tuple(jpegs), alternatives=tuple(facts["alternatives"]))
            assert Sample(**{**facts, "frame_seconds": tuple(facts["frame_seconds"])}) == sample


def test_reader_travels_to_other_processes(tmp_path: Path) -> None:
    reader = write(tmp_path, SAMPLES)
    assert reader.read("a").key == "a"
    twin = pickle.loads(pickle.dumps(reader))  # noqa: S301 our own object
    assert twin.read("b-00001000") == SAMPLES[2]
    assert twin.fingerprint == reader.fingerprint


def test_staged_samples_are_read_back_in_order(tmp_path: Path) -> None:
    write_staged(tmp_path / "a.tar", SAMPLES)
    assert list(read_tar(tmp_path / "a.tar")) == SAMPLES
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_jpegs_survive_within_the_loss_of_their_quality() -> None:
    ramp = np.linspace(0, 255, 64 * 48 * 3, dtype=np.float64).reshape(48, 64, 3).astype(np.uint8)
    again = decode_jpeg(encode_jpeg(ramp, quality=95))
    assert again.shape == ramp.shape
    assert np.abs(again.astype(int) - ramp).mean() < 3


@pytest.mark.parametrize("block", [b"", b"\x02\0\0\0\x01\0", pack_jpegs([b"abc"])[:-1], pack_jpegs([b"abc"]) + b"x"])
def test_damaged_blocks_are_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match="packed frames"):
        unpack_jpegs(block)


def test_a_folder_that_is_no_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no corpus: make one with `ophclip ingest"):
        ShardReader(tmp_path)


def test_a_cut_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path, SAMPLES)
    tar = tmp_path / "clip-000000.tar"
    tar.write_bytes(tar.read_bytes()[:-512])
    with pytest.raises(ValueError, match=r"clip-000000\.tar has \d+ bytes, its index says"):
        ShardReader(tmp_path)


def first_row(index: dict[str, Any]) -> list[Any]:
    row: list[Any] = index["shards"][0]["samples"][0]
    return row


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda index: index.pop("shards"), "damaged, it lacks 'shards'"),
        (lambda index: index.update(shards=None), "damaged"),
        (lambda index: index.update(version=1), "version 1 found, 2 expected"),
        (lambda index: index["shards"][0].pop("sha256"), "damaged, it lacks 'sha256'"),
        (lambda index: index["shards"][0].update(sha256="x"), "has no size and checksum"),
        (lambda index: index["shards"][0].update(level="clop"), "'clop' is not a valid Level"),
        (lambda index: index["shards"][0].update(name="../../etc/passwd.tar"), "is no name of a shard"),
        (lambda index: index["shards"].append(index["shards"][0]), "clip-000000.tar occurs twice"),
        (lambda index: index["shards"][0]["samples"].pop(), "are not those of its rows"),
        (
            lambda index: index["shards"][1]["samples"].append(first_row(index)),
            "'a-00000500' occurs twice, in clip-000000",
        ),
        (lambda index: first_row(index).pop(), "is not key, video id, two flags and four numbers"),
        (lambda index: first_row(index).__setitem__(0, None), "is not key, video id, two flags and four numbers"),
        (lambda index: first_row(index).__setitem__(4, -1), "a-00000500 lies outside of clip-000000.tar"),
        (lambda index: first_row(index).__setitem__(7, 10**9), "a-00000500 lies outside of clip-000000.tar"),
    ],
)
def test_a_damaged_index_is_told_in_one_line(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object], words: str
) -> None:
    write(tmp_path, SAMPLES)
    path = tmp_path / "index.json"
    index = json.loads(path.read_text())
    damage(index)
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=re.escape(words)) as told:
        ShardReader(tmp_path)
    assert str(told.value).startswith(f"{path}: ")
    assert str(told.value).endswith("run `ophclip ingest` again")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "\udcff"])
def test_an_index_that_is_no_index_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    write(tmp_path, SAMPLES)
    (tmp_path / "index.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"index\.json: (not readable as JSON|version None found)"):
        ShardReader(tmp_path)


def test_a_changed_shard_fails_verification(tmp_path: Path) -> None:
    reader = write(tmp_path, SAMPLES)
    tar = tmp_path / "clip-000000.tar"
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="differ from the checksum"):
        reader.verify()


def test_a_key_may_occur_once(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.add(SAMPLES[0])
        with pytest.raises(ValueError, match="occurs twice"):
            writer.add(SAMPLES[0])


def test_nothing_is_left_under_a_final_name_when_writing_breaks(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="disk"), ShardWriter(tmp_path) as writer:  # noqa: PT012 it is the block that breaks
        writer.add(SAMPLES[0])
        raise RuntimeError("disk")
    assert list(tmp_path.iterdir()) == []
