"""Packing: a corpus that grew video by video holds the same bytes as one that was packed at once."""

from __future__ import annotations

from pathlib import Path

from small_corpus import sample

from ingest.pack import SHARDS, STAGING, pack, staged_path
from ingest.records import Level
from ingest.shards import ShardReader, write_staged


def stage(corpus: Path, video_id: str) -> None:
    """The samples of one video, of every level."""
    (corpus / STAGING).mkdir(parents=True, exist_ok=True)
    clips = [sample(f"{video_id}-{start:08d}", level=Level.CLIP) for start in (0, 4000)]
    phase = sample(f"{video_id}-phase-00000000", level=Level.PHASE)
    write_staged(staged_path(corpus, video_id), [*clips, phase, sample(video_id, level=Level.VIDEO)])


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_corpus_that_grew_is_the_corpus_packed_at_once(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    for place in range(len(names)):
        stage(tmp_path / "grown", names[place])
        assert pack(tmp_path / "grown", names[: place + 1], 2, lambda *_: None)
        stage(tmp_path / "whole", names[place])
    assert pack(tmp_path / "whole", names, 2, lambda *_: None)
    grown, whole = [files(tmp_path / run / SHARDS) for run in ("grown", "whole")]
    assert grown == whole
    assert len(ShardReader(tmp_path / "grown").entries(Level.PHASE)) == 3
