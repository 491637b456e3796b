"""Transcripts that come with a video."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ingest.speech.transcripts import find_transcripts, read_transcript


def test_the_transcripts_of_a_video_are_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("a.csv", "a.aws.csv", "a.en.srt", "ab.csv", "a.txt", "more/b.vtt"):
        (tmp_path / name).write_text("")
    assert [path.name for path in find_transcripts(tmp_path, "a.mp4")] == ["a.aws.csv", "a.csv", "a.en.srt"]
    assert [path.name for path in find_transcripts(tmp_path, "more/b.mkv")] == ["b.vtt"]
    assert find_transcripts(tmp_path, "c.mp4") == ()


def test_words_share_the_time_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("start,end,text\n4.0,6.0,second line\n0.0,2.0,an incision is made\n7.0,7.5,\n")
    found = read_transcript(path, 10.0)
    assert [one.text for one in found.segments] == ["an incision is made", "second line"]
    assert (found.engine, found.model, found.speech_seconds) == ("given", "a.csv", 4.0)
    words = found.segments[0].words
    assert [word.text for word in words] == ["an", "incision", "is", "made"]
    assert all(word.interpolated for word in words)
    assert (words[0].start_seconds, words[-1].end_seconds) == (0.0, 2.0)
    assert all(before.end_seconds == after.start_seconds for before, after in pairwise(words))
    lengths = [word.end_seconds - word.start_seconds for word in words]
    assert lengths[1] == max(lengths)


SRT = "1\n00:00:01,500 --> 00:00:03,000\n<i>The rhexis</i>\nis begun.\n\n2\n00:01:02,000 --> 00:01:04,250\nDone.\n"
VTT = (
    "WEBVTT\n\nNOTE nothing\n\n00:01.500 --> 00:03.000 align:start\nThe rhexis is begun.\n\n"
    "01:02.000 --> 01:04.250\nDone.\n"
)


@pytest.mark.parametrize(("name", "text"), [("a.srt", SRT), ("a.vtt", VTT), ("a.srt", SRT.replace("\n", "\r\n"))])
def test_captions_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    spans = [(one.start_seconds, one.end_seconds, one.text) for one in read_transcript(tmp_path / name, 99.0).segments]
    assert spans == [(1.5, 3.0, "The rhexis is begun."), (62.0, 64.25, "Done.")]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "begin,end,text\n", "columns start, end, text"),
        ("a.csv", "", "columns start, end, text"),
        ("a.csv", "start,end,text\n3,1,x\n", "line 2"),
        ("a.csv", "start,end,text\nnan,1,x\n", "line 2"),
        ("a.csv", "start,end,text\none,two,x\n", "line 2"),
        ("a.srt", "1\n00:00:01,500 -->\nx\n", "block 1: two times"),
        ("a.srt", "1\n00:00:05,500 --> 00:00:01,000\nx\n", "block 1: the end"),
    ],
)
def test_a_faulty_transcript_is_told_in_one_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=told) as error:
        read_transcript(tmp_path / name, 10.0)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path / name))


def test_real_lectures_are_read_whole(real_data: Path) -> None:
    for path in sorted((real_data / "narrations").glob("*.csv")):
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        found = read_transcript(path, 1e9)
        assert len(found.segments) == len(lines)
