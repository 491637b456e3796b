"""Speech recognition against its two peers on the same weights and the same sound: `python -m benchmarks.asr`.

Wall time on one thread each. Product: voice activity, windows of all files in batches, word times. Peers:
faster-whisper's BatchedInferencePipeline with its own voice activity, file after file, and openai-whisper on one file;
beams, word times and language alike. Asserted inside: no more errors in words than a peer by 0.5 points, against the
first over all lectures, three to a file and each alone, since where windows are cut moves a few words either way,
against the second over the held-out ones alone; and that the correction of terms loses none.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ctranslate2
import numpy as np
import torch
import whisper
from faster_whisper import BatchedInferencePipeline, WhisperModel
from numpy.typing import NDArray

from benchmarks.hearing import TINY, Lecture, Score, read_lectures, score, speak_lectures
from benchmarks.openai_weights import write_openai
from benchmarks.pairs import cost_ratios, tell
from ingest.config import AsrConfig, CorrectConfig, SegmentConfig, VadConfig
from ingest.records import Segment, Transcript
from ingest.speech.transcribe import Transcriber, build_transcriber, listen, transcribe_all
from ingest.text.correct import correct
from ingest.text.lexicon import load_lexicon
from ingest.text.segment import join_words, sentences
from ingest.weights import resolve_weights

ASR = AsrConfig(model=TINY, device="cpu", threads=1, language="en")
LECTURES_PER_FILE = 3
Sound = NDArray[np.float32]
Files = list[tuple[tuple[str, ...], Sound]]
"""What is said in each file, terms marked, and its sound."""


def files_of(lectures: tuple[Lecture, ...], spoken: dict[str, Sound], per_file: int) -> Files:
    """Lectures one after the other in files of so many."""
    groups = [lectures[first : first + per_file] for first in range(0, len(lectures), per_file)]
    return [
        (
            tuple(text for one in group for text in one.marked),
            np.concatenate([spoken[one.procedure] for one in group]),
        )
        for group in groups
    ]


def product(recogniser: Transcriber, files: Files) -> list[Transcript]:
    return transcribe_all([listen(sound, VadConfig()) for _said, sound in files], recogniser, ASR)


def batched_peer(pipeline: BatchedInferencePipeline, files: Files) -> list[str]:
    texts = []
    for _said, sound in files:
        found, _info = pipeline.transcribe(
            sound,
            language="en",
            beam_size=ASR.beam_size,
            batch_size=ASR.batch_size,
            temperature=0.0,
            word_timestamps=True,
            vad_filter=True,
        )
        texts.append("".join(segment.text for segment in found))
    return texts


def sequential_peer(model: Any, files: Files) -> list[str]:
    ask = partial(whisper.transcribe, model, language="en", beam_size=ASR.beam_size, temperature=0.0)
    return [str(ask(sound, word_timestamps=True, fp16=False)["text"]) for _said, sound in files]


def graded(files: Files, texts: list[str]) -> Score:
    scores = (score(said, text) for (said, _sound), text in zip(files, texts, strict=True))
    return sum(scores, Score(0, 0, 0, 0))


def heard_sentences(recogniser: Transcriber, files: Files) -> list[tuple[Segment, ...]]:
    return [sentences(one.segments, SegmentConfig()) for one in product(recogniser, files)]


def text_of(said: tuple[Segment, ...]) -> str:
    return " ".join(join_words(one.words) for one in said)


def outside_model(recogniser: Transcriber, files: Files) -> float:
    """Share of the product's wall time that is not spent in CTranslate2."""
    inside = 0.0

    def timed(method: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal inside
            began = time.perf_counter()
            try:
                return method(*given, **named)
            finally:
                inside += time.perf_counter() - began

        return call

    model = ctranslate2.models.Whisper
    patches = [patch.object(model, name, timed(getattr(model, name))) for name in ("encode", "generate", "align")]
    for one in patches:
        one.start()
    began = time.perf_counter()
    product(recogniser, files)
    wall = time.perf_counter() - began
    for one in patches:
        one.stop()
    return 1 - inside / wall


def measure(files: Files, alone: Files, graded_on: Files, folder: Path) -> None:
    """Print one line for each comparison: speed on `files` and the first of `alone`, words on `graded_on` besides."""
    short = alone[:1]
    weights = resolve_weights(TINY)
    recogniser = build_transcriber(ASR)
    loaded = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    pipeline = BatchedInferencePipeline(loaded)
    sequential = whisper.load_model(str(write_openai(weights, folder / "tiny.en.pt")), device="cpu")

    said = heard_sentences(recogniser, files)
    lexicon = load_lexicon(["ophthalmology"])
    before = graded(files, [text_of(one) for one in said])
    after = graded(files, [text_of(correct(one, lexicon, CorrectConfig())[0]) for one in said])
    heard = graded(graded_on, [text_of(one) for one in heard_sentences(recogniser, graded_on)])
    theirs = graded(graded_on, batched_peer(pipeline, graded_on))
    assert heard.word_error_rate <= theirs.word_error_rate + 0.005, (heard, theirs)
    assert after.found >= before.found, (before, after)
    assert after.word_error_rate <= before.word_error_rate, (before, after)
    ours = graded(alone, [text_of(one) for one in heard_sentences(recogniser, alone)])
    reference = graded(alone, sequential_peer(sequential, alone))
    assert ours.word_error_rate <= reference.word_error_rate + 0.005, (ours, reference)

    run, run_short = partial(product, recogniser, files), partial(product, recogniser, short)
    wall = time.perf_counter
    tell(
        "asr, wall over faster-whisper batched",
        cost_ratios(run, partial(batched_peer, pipeline, files), wall),
        most=1.05,
    )
    slower = cost_ratios(partial(sequential_peer, sequential, short), run_short, wall)
    tell("asr, openai-whisper's wall over ours", slower, least=5.0)
    tell("asr, share outside the model", [outside_model(recogniser, files) for _ in range(5)], most=0.1)
    grades = {
        "held out, as heard": before,
        "held out, corrected": after,
        "all lectures, as heard": heard,
        "all lectures, faster-whisper batched": theirs,
        "held out, each alone, as heard": ours,
        "held out, each alone, openai-whisper": reference,
    }
    for label, one in grades.items():
        tell(f"asr, word error rate, {label}", [one.word_error_rate])
        tell(f"asr, recall of terms, {label}", [one.term_recall])


def main() -> None:
    """Speak the held-out lectures and measure."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: both sides run on one thread"
    torch.set_num_threads(1)
    held_out, every = read_lectures("held_out"), (*read_lectures("held_out"), *read_lectures("development"))
    with tempfile.TemporaryDirectory() as name:
        spoken = speak_lectures(every, Path(name))
        graded_on = [*files_of(every, spoken, LECTURES_PER_FILE), *files_of(every, spoken, 1)]
        files, alone = files_of(held_out, spoken, LECTURES_PER_FILE), files_of(held_out, spoken, 1)
        measure(files, alone, graded_on, Path(name))


if __name__ == "__main__":
    main()
