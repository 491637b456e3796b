"""Transcripts that come with a video: `NAME.csv` (`start,end,text` in seconds), `NAME.srt` or `NAME.vtt`, or several.

They carry no times of words: words share the time of their line by length, and are flagged as interpolated.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ingest.records import Segment, Transcript, Word
from ingest.text.segment import compression_ratio

SUFFIXES = (".csv", ".srt", ".vtt")
ENGINE = "given"
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_MARKUP = re.compile(r"<[^>]*>|\{[^}]*\}")

Line = tuple[float, float, str]


def require_folder(folder: str) -> None:
    """Raises ValueError in one line if a folder of transcripts is named and not there."""
    if folder and not Path(folder).is_dir():
        raise ValueError(f"transcripts: {folder}: no such folder: give one with NAME.csv, NAME.srt or NAME.vtt")


def find_transcripts(folder: Path, video_name: str) -> tuple[Path, ...]:
    """Transcripts of the video `video_name` (a path without regard to its ending), by name.

    Taken are `NAME.csv`, `NAME.aws.csv`, `NAME.en.srt` and the like, in `folder` or where the video lies below it.
    """
    stem, parent = Path(video_name).stem, Path(video_name).parent
    places = dict.fromkeys((folder, folder / parent)) if not parent.is_absolute() else {folder: None}
    found = [path for place in places if place.is_dir() for path in place.iterdir() if _belongs(path, stem)]
    return tuple(sorted(found))


def _belongs(path: Path, stem: str) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    # One word may stand between name and ending: whose transcript it is, or its language.
    return path.stem == stem or path.stem.rpartition(".")[0] == stem


def read_transcript(path: Path, duration_seconds: float) -> Transcript:
    """Read one transcript of a video so long. Raises ValueError in one line naming the file and the line at fault."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    lines = _csv_lines(path, text) if path.suffix.lower() == ".csv" else _caption_lines(path, text)
    segments = tuple(_segment(line) for line in sorted(lines) if line[2].split())
    return Transcript(
        segments=segments,
        language="",
        engine=ENGINE,
        model=path.name,
        speech_seconds=sum(one.end_seconds - one.start_seconds for one in segments),
        duration_seconds=duration_seconds,
    )


def _csv_lines(path: Path, text: str) -> Iterator[Line]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    if not {"start", "end", "text"} <= names.keys():
        raise ValueError(f"{path}: columns start, end, text (seconds) expected, {', '.join(names) or 'none'} found")
    try:
        for row in reader:
            yield _checked(float(row[names["start"]]), float(row[names["end"]]), row[names["text"]] or "")
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path}: line {reader.line_num}: start and end in seconds expected, end not before start ({error})"
        ) from error


def _caption_lines(path: Path, text: str) -> Iterator[Line]:
    for number, block in enumerate(re.split(r"\n\s*\n", text.replace("\r\n", "\n")), 1):
        times, _, words = _from_clock(block).partition("\n")
        if "-->" not in times:
            continue
        found = [_seconds(*match) for match in _CLOCK.findall(times)]
        if len(found) != 2:
            raise ValueError(f"{path}: block {number}: two times expected (00:01:02,500 --> 00:01:04,000)")
        try:
            yield _checked(found[0], found[1], " ".join(_MARKUP.sub("", words).split()))
        except ValueError as error:
            raise ValueError(f"{path}: block {number}: the end must not come before the start ({error})") from error


def _from_clock(block: str) -> str:
    """A block of captions from the line with its times on."""
    lines = block.strip().split("\n")
    return "\n".join(lines[next((place for place, line in enumerate(lines) if "-->" in line), 0) :])


def _seconds(hours: str, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")


def _checked(start: float, end: float, text: str) -> Line:
    if not (math.isfinite(start) and math.isfinite(end) and 0.0 <= start <= end):
        raise ValueError(f"{start} to {end}")
    return start, end, text


def _segment(line: Line) -> Segment:
    start, end, text = line
    words = spread_words(text.split(), start, end)
    text = " ".join(word.text for word in words)
    return Segment(
        start_seconds=start, end_seconds=end, text=text, words=words, compression_ratio=compression_ratio(text)
    )


def spread_words(words: Sequence[str], start_seconds: float, end_seconds: float) -> tuple[Word, ...]:
    """Words that share a span by their length."""
    letters = np.cumsum([0, *(1 + len(word) for word in words)])
    edges = np.minimum(start_seconds + (end_seconds - start_seconds) * letters / letters[-1], end_seconds)
    return tuple(
        Word(
            start_seconds=float(edges[place]),
            end_seconds=float(edges[place + 1]),
            text=word,
            probability=1.0,
            interpolated=True,
        )
        for place, word in enumerate(words)
    )
