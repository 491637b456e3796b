"""Thresholds between narrated and silent videos, fitted to videos that somebody has labelled by hand."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import ge
from pathlib import Path
from typing import TypeAlias

from ingest.config import IngestConfig
from ingest.manifest import Manifest, State, VideoRow
from ingest.speech.transcripts import ENGINE as GIVEN
from ingest.status import open_corpus
from ingest.text.clean import SpeechMeasure, clean, measure_speech
from ingest.text.segment import sentences

_Thresholds: TypeAlias = tuple[float, float, float]
"""Least share of speech, words per minute and mean probability of words."""
_YES, _NO = ("1", "yes", "true", "narrated"), ("0", "no", "false", "silent")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What decides whether one video counts as narrated."""

    video_id: str
    narrated: bool
    """By hand."""
    speech: SpeechMeasure


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """The thresholds that agree best with the labels, and how well they and today's do."""

    measured: tuple[Measured, ...]
    min_speech_share: float
    min_words_per_minute: float
    min_word_probability: float
    wrong: tuple[str, ...]
    """Videos that the proposed thresholds get wrong."""
    wrong_today: tuple[str, ...]


def calibrate(corpus: Path, labels: Path, config: IngestConfig) -> Calibration:
    """Fit `gates.min_speech_share`, `min_words_per_minute` and `min_word_probability` to hand labels of a corpus.

    `labels` is a CSV with the columns `video` (id or path in the source) and `narrated` (yes or no). Of all pairs of
    the first two that get the fewest videos wrong the one in the middle is taken, then likewise of the third beside
    them. Raises ValueError in one line for a
    faulty list or a corpus without the labelled videos.
    """
    wanted = _read_labels(labels)
    with open_corpus(corpus) as manifest:
        rows = _labelled(manifest.videos(), wanted, labels)
        measured = tuple(_measure(manifest, row, label, config) for row, label in rows)
    best, gates = _best(measured), config.gates
    return Calibration(
        measured=measured,
        min_speech_share=best[0],
        min_words_per_minute=best[1],
        min_word_probability=best[2],
        wrong=_wrong(measured, best),
        wrong_today=_wrong(measured, (gates.min_speech_share, gates.min_words_per_minute, gates.min_word_probability)),
    )


def _best(measured: Sequence[Measured]) -> _Thresholds:
    shares = _between([one.speech.share for one in measured], 4)
    rates = _between([one.speech.words_per_minute for one in measured], 2)
    share, rate, _ = _middle_of_best(measured, [(share, rate, 0.0) for share in shares for rate in rates])
    sure = _between([one.speech.word_probability for one in measured], 3)
    return _middle_of_best(measured, [(share, rate, probability) for probability in sure])


def _middle_of_best(measured: Sequence[Measured], tried: Sequence[_Thresholds]) -> _Thresholds:
    wrong = {one: len(_wrong(measured, one)) for one in tried}
    least = min(wrong.values())
    best = sorted(one for one, count in wrong.items() if count == least)
    return best[len(best) // 2]


def _between(values: Sequence[float], digits: int) -> list[float]:
    """Thresholds that tell the values apart: 0 and the middles between neighbours."""
    found = sorted(set(values))
    return sorted({0.0, *(round((low + high) / 2, digits) for low, high in pairwise(found))})


def _wrong(measured: Sequence[Measured], thresholds: _Thresholds) -> tuple[str, ...]:
    return tuple(one.video_id for one in measured if one.narrated != _narrated(one.speech, thresholds))


def _narrated(speech: SpeechMeasure, thresholds: _Thresholds) -> bool:
    figures = speech.share, speech.words_per_minute, speech.word_probability
    return speech.words_per_minute > 0 and all(map(ge, figures, thresholds))


def _measure(manifest: Manifest, row: VideoRow, label: bool, config: IngestConfig) -> Measured:
    heard = [one for one in manifest.transcripts(row.video_id) if one.engine != GIVEN]
    accepted = clean(sentences(heard[0].segments, config.segment), config.gates).accepted if heard else ()
    return Measured(video_id=row.video_id, narrated=label, speech=measure_speech(accepted, row.duration_seconds))


def _labelled(rows: Sequence[VideoRow], wanted: Mapping[str, bool], labels: Path) -> list[tuple[VideoRow, bool]]:
    done = {name: row for row in rows if row.state is State.DONE for name in (row.video_id, row.source_relative)}
    missing = [name for name in wanted if name not in done]
    if missing:
        raise ValueError(f"{labels}: {missing[0]} is no video of this corpus: give ids or paths that `export` shows")
    return [(done[name], label) for name, label in wanted.items()]


def _read_labels(labels: Path) -> dict[str, bool]:
    with labels.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"video", "narrated"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{labels}: columns video and narrated expected, {reader.fieldnames} found")
        found = {row["video"]: (row["narrated"] or "").strip().lower() for row in reader}
    odd = [video for video, label in found.items() if label not in _YES + _NO]
    if odd:
        raise ValueError(f"{labels}: narrated of {odd[0]} is {found[odd[0]]!r}, expected yes or no")
    if len({label in _YES for label in found.values()}) < 2:
        raise ValueError(f"{labels}: narrated and silent videos expected, one kind only found: label some of the other")
    return {video: label in _YES for video, label in found.items()}
