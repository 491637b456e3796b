"""Parts of datasets of every kind: what is scored, what is learned from, and that they share no video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ophclip.config import ScoredUnit, ZeroShotConfig
from ophclip.evaluation.datasets import read_phase_table, read_presence_table
from ophclip.evaluation.records import FileDataset, LabelledFile, PhaseDataset, PresenceDataset, Source, Task
from ophclip.evaluation.runs import read_parts
from ophclip.evaluation.splits import items_of, only, parts_of
from ophclip.smoothing_options import Offline, SmoothingConfig

SOURCE = Source(name="own", license="", citation="", obtain="")


def _phases(folder: Path, rows: str) -> PhaseDataset:
    table = folder / "phases.csv"
    table.write_text(f"video,start_seconds,end_seconds,label,split\n{rows}", encoding="utf-8")
    return read_phase_table(table, with_videos=False)


def _presence(folder: Path, rows: str) -> PresenceDataset:
    table = folder / "presence.csv"
    table.write_text(f"split,video,seconds,knife,needle\n{rows}", encoding="utf-8")
    return read_presence_table(table, with_videos=False)


def _files(*rows: tuple[str, str]) -> FileDataset:
    files = tuple(
        LabelledFile(file_id=str(n), path=Path(f"{n}.mp4"), labels=("x",), video_id=video, split=split)
        for n, (video, split) in enumerate(rows)
    )
    return FileDataset(source=SOURCE, task=Task.CLIP, classes=("x",), files=files)


def test_every_kind_of_dataset_is_cut_to_a_split(tmp_path: Path) -> None:
    phases = _phases(tmp_path, "a,0,2,X,train\nb,0,2,Y,test\na,2,3,Y,train\n")
    presence = _presence(tmp_path, "train,a,0,1,0\ntest,b,0,0,1\n")
    files = _files(("a", "train"), ("b", "test"))
    for dataset, word in ((phases, "video"), (presence, "video"), (files, "file")):
        parts = parts_of(dataset, ZeroShotConfig(split="test", fit_split="train"))
        assert [item.video_id for item in items_of(parts.scored)] == ["b"]
        assert parts.fit is not None
        assert [item.video_id for item in items_of(parts.fit)] == ["a"]
        assert parts.scored.classes == parts.fit.classes == dataset.classes
        assert parts_of(dataset, ZeroShotConfig()).scored is dataset
        with pytest.raises(ValueError, match=f"no {word} of split 'dev'; splits in the annotations: test, train"):
            only(dataset, "dev")
    assert presence.classes == ("knife", "needle")
    np.testing.assert_array_equal(only(presence, "test").videos[0].present_nc, [[0.0, 1.0]])


def test_a_video_in_both_parts_is_refused() -> None:
    dataset = _files(("a", "train"), ("b", "test"), ("a", "test"))
    with pytest.raises(ValueError, match="own: a is in split 'test', which is scored, and in fit_split 'train'"):
        parts_of(dataset, ZeroShotConfig(split="test", fit_split="train"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"split": "test", "fit_split": "test"}, r"zeroshot\.fit_split: 'test' is what is scored"),
        ({"fit_split": "train"}, r"zeroshot\.split: give the part that is scored, too"),
    ],
)
def test_parts_that_are_one_are_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ZeroShotConfig(**given)


def test_a_video_in_two_splits_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"phases\.csv, line 3: a is in split 'train' and in 'test'"):
        _phases(tmp_path, "a,0,2,X,train\na,2,3,Y,test\n")
    with pytest.raises(ValueError, match=r"presence\.csv, line 3: a is in split '' and in 'test'"):
        _presence(tmp_path, ",a,0,1,0\ntest,a,1,0,1\n")


def test_only_the_parts_that_are_used_need_their_videos(tmp_path: Path) -> None:
    _phases(tmp_path, "a,0,2,X,train\nb,0,2,Y,test\nc,0,2,Y,val\n")
    (tmp_path / "b.mp4").write_bytes(b"x")
    table = tmp_path / "phases.csv"
    assert read_parts("phase-table", table, (), ZeroShotConfig(split="test")).fit is None
    both = {"split": "test", "fit_split": "train"}
    learning = SmoothingConfig(offline=Offline.VITERBI)
    assert read_parts("phase-table", table, (), ZeroShotConfig(smoothing=learning, **both)).fit is not None
    for config in (ZeroShotConfig(**both), ZeroShotConfig(smoothing=learning, unit=ScoredUnit.SEGMENT, **both)):
        with pytest.raises(ValueError, match=r"zeroshot\.fit_split: of phase-table nothing is learned from it"):
            read_parts("phase-table", table, (), config)
    with pytest.raises(ValueError, match=r"a\.mp4: expected this video"):
        read_parts("phase-table", table, (), ZeroShotConfig())
    _presence(tmp_path, "train,a,0,1,0\ntest,b,0,0,1\n")
    table = tmp_path / "presence.csv"
    assert read_parts("presence-table", table, (), ZeroShotConfig(split="test")).fit is None
    with pytest.raises(ValueError, match=r"a\.mp4: expected this file \(0 of 1 labelled files"):
        read_parts("presence-table", table, (), ZeroShotConfig(split="test", fit_split="train"))
