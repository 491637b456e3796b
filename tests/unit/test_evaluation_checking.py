"""`ophclip datasets`: the list, what a check finds, and names that stay in step."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ophclip.cli import app
from ophclip.evaluation.checking import check
from ophclip.evaluation.datasets import DATASETS


def test_the_list_names_every_dataset_with_licence_and_where_it_comes_from() -> None:
    told = CliRunner().invoke(app, ["datasets"])
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *DATASETS]
    assert "CC BY-NC 4.0" in lines[1]
    assert "cat-101" in lines[1]


def _table(root: Path, rows: str) -> Path:
    table = root / "labels.csv"
    table.write_text(f"video,start_seconds,end_seconds,label\n{rows}", encoding="utf-8")
    return table


def test_a_check_finds_overlaps_gaps_times_past_the_end_and_videos_without_labels(
    tmp_path: Path, real_data: Path
) -> None:
    name = "laparoscopy_silent"
    table = _table(tmp_path, f"{name},0,4,A\n{name},3,5,B\n{name},8,60,A\n")
    report = check("phase-table", table, (real_data / "video",))
    assert report.usable
    assert report.there == ("1 labelled videos, 1 of them found", "3 labels of 2 classes", "  A: 2", "  B: 1")
    text = report.text
    assert "1 neighbouring segments overlap: where segments overlap, the one that starts last holds" in text
    assert "1 gaps between segments: seconds outside every segment are unlabelled" in text
    assert "labels.csv, line 4: labelled until 60.0 s, but " in text
    assert "laparoscopy_silent.mp4 ends at 10.0 s" in text
    assert "2 videos without labels, which are not used" in text
    assert "no prompts are shipped for it" in text


def test_a_check_of_a_folder_that_cannot_be_used_ends_with_status_1(tmp_path: Path) -> None:
    table = _table(tmp_path, "one,0,4,A\ntwo,0,4,A\n")
    (tmp_path / "one.mp4").write_bytes(b"x")
    told = CliRunner().invoke(app, ["datasets", "check", "phase-table", "--root", str(table)])
    assert told.exit_code == 1
    assert f"missing  1 of 2 files that are labelled: {tmp_path / 'two.mp4'}" in told.stdout
    assert "there    2 labelled videos, 1 of them found" in told.stdout
    assert f"odd      {tmp_path / 'one.mp4'}" in told.stdout
    _table(tmp_path, "one,0,4,A\none,0,4,A\n")
    told = CliRunner().invoke(app, ["datasets", "check", "phase-table", "--root", str(table)])
    assert told.exit_code == 1
    assert "labels.csv, line 3: the row of line 2 stands there again" in told.stdout


def test_a_presence_table_is_checked_by_its_positive_seconds(tmp_path: Path) -> None:
    table = tmp_path / "presence.csv"
    table.write_text("video,seconds,keratome,spoon\nv,0,1,0\nv,1,1,\n", encoding="utf-8")
    report = check("presence-table", table)
    assert "  keratome: 2" in report.there
    assert any("no class for the label 'spoon'" in line for line in report.odd)
    assert "1 classes without a label: spoon" in report.odd
    assert not report.usable


@pytest.mark.parametrize(
    ("name", "folder", "videos"),
    [
        ("cataract101", "cataract101", "101 of 101"),
        ("ophnet", "ophnet", "743 of 743"),
        ("cataract1k", "cataract1k/phase", "50 of 50"),
    ],
)
def test_real_tables_without_their_videos_are_told_apart_from_usable(
    real_data: Path, name: str, folder: str, videos: str
) -> None:
    report = check(name, real_data / folder)
    assert not report.usable
    assert report.missing[0].startswith(f"{videos} files that are labelled")
    assert not any("no class for" in line or "without a label" in line for line in report.odd)


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no dataset named 'nix'; `ophclip datasets` lists them: cataract101, cat21"):
        check("nix", tmp_path)
