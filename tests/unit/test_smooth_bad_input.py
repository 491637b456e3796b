"""Labels that cannot be meant: named with file and line, and what outlasts a video is told and not dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ophclip.evaluation.datasets import (
    read_cataract1k,
    read_ophnet_phases,
    read_ophnet_surgeries,
    read_phase_table,
    read_presence_table,
)
from ophclip.evaluation.prompts import load_prompts
from ophclip.evaluation.records import LabelSegment, PhaseVideo, PresenceVideo, outlasting_seconds

PHASES, PRESENCE = "video,start_seconds,end_seconds,label\n", "video,seconds,knife,needle\n"
OPHNET = "video_id,start,end,split,surgery_id,phase_id\n"


def _refused(says: str, read: object, path: Path) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match=says) as refused:
        read(path, with_videos=False)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("v,0,2,A\nv,0.0,2.00,A\n", r"t\.csv, line 3: the segment of line 2 stands there again"),
        ("v,0,2,A\n,2,3,B\n", r"t\.csv, line 3: video is empty"),
        ("v,0,2,\n", r"t\.csv, line 2: a segment of v has no label"),
        ("v,-1,2,A\n", r"line 2: a segment 'A' starts at -1 s, before the video"),
        ("v,0,nan,A\n", r"line 2: end_seconds is 'nan' and must be finite"),
    ],
)
def test_phases_that_cannot_be_meant(tmp_path: Path, rows: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(PHASES + rows, encoding="utf-8")
    _refused(says, read_phase_table, tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("v,-1,0,1\n", r"t\.csv, line 2: seconds is -1, before the video"),
        (",1,0,1\n", r"t\.csv, line 2: video is empty"),
        ("v,1,0,1\nv,1,0,1\n", r"t\.csv, line 3: the row of line 2 stands there again"),
        ("", r"t\.csv: no row below the header"),
    ],
)
def test_presence_that_cannot_be_meant(tmp_path: Path, rows: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(PRESENCE + rows, encoding="utf-8")
    _refused(says, read_presence_table, tmp_path / "t.csv")


def test_owners_tables_that_cannot_be_meant(tmp_path: Path) -> None:
    (tmp_path / "phase_names.csv").write_text("phase_id,name\n1,A\n2,B\n", encoding="utf-8")
    table = tmp_path / "OphNet2024_loca_challenge_phase.csv"
    table.write_text(f"{OPHNET}c,0,2,train,1,1\nc,0.0,2.0,train,1,1\n", encoding="utf-8")
    _refused(r"phase\.csv, line 3: the segment of line 2 stands there again", read_ophnet_phases, tmp_path)
    table.write_text(f"{OPHNET},0,2,train,1,1\n", encoding="utf-8")
    _refused(r"phase\.csv, line 2: video_id is empty", read_ophnet_phases, tmp_path)
    (tmp_path / "OphNet2024_surgery.csv").write_text("video_id,surgery\n,3\n", encoding="utf-8")
    _refused(r"surgery\.csv, line 2: video_id is empty", read_ophnet_surgeries, tmp_path)
    owned = tmp_path / "annotations" / "case_1" / "case_1_annotations_phases.csv"
    owned.parent.mkdir(parents=True)
    owned.write_text("comment,sec,endSec\nIncision,1,2\nIncision,1.0,2.0\n", encoding="utf-8")
    _refused(r"phases\.csv, line 3: the segment of line 2 stands there again", read_cataract1k, tmp_path)


def test_prompts_in_another_encoding_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes("a knife\nEröffnung\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"p\.txt, line 2: not UTF-8"):
        load_prompts(tmp_path / "p.txt")


def test_labels_after_the_end_are_measured_and_rounding_is_none() -> None:
    part = LabelSegment(start_seconds=0.0, end_seconds=12.5, label="A")
    phases = PhaseVideo(video_id="v", path=Path("v"), segments=(part,))
    presence = PresenceVideo(video_id="v", path=Path("v"), seconds_n=np.array([0.0, 12.5]), present_nc=np.zeros((2, 1)))
    for video in (phases, presence):
        assert outlasting_seconds(video, 10.0) == 2.5
        assert outlasting_seconds(video, 11.6) == 0.0
        assert outlasting_seconds(video, 20.0) == 0.0
