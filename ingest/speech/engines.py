"""The two Whisper engines. Libraries are imported when an engine is built: openai-whisper brings torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.config import AsrConfig, Foreign
from ingest.records import SAMPLE_RATE_HZ, Word
from ingest.speech.language import (
    ENGLISH,
    Windows,
    guess_faster_whisper,
    guess_openai_whisper,
    window_languages,
)
from ingest.speech.voice import WINDOW_SECONDS

PROMPT_TOKENS = 223
"""What Whisper has room for before its own text: half its 448 places, less one."""
_JOINTS = ("-", "'", "\u2019")
_GAP_SECONDS = 0.5
"""Quiet between windows that are handed over in one array."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What an engine heard in one window; seconds count from the window's start."""

    text: str
    words: tuple[Word, ...]
    no_speech_probability: float
    mean_log_probability: float
    compression_ratio: float
    language: str = ""
    """Of the text; empty where nothing was heard."""
    translated_from: str = ""
    """The language that was spoken, where the text is Whisper's translation."""


SILENCE = Heard(text="", words=(), no_speech_probability=1.0, mean_log_probability=0.0, compression_ratio=1.0)


def prompt_of(terms: Sequence[str]) -> str | None:
    """The terms as a prompt, None without any."""
    return ", ".join(terms) + "." if terms else None


class FasterWhisper:
    """CTranslate2: int8 on a CPU, float16 on a GPU; windows in batches."""

    def __init__(self, weights: str, config: AsrConfig) -> None:
        """`weights` is a local folder or a hub name. Raises ValueError in one line if it cannot be loaded."""
        from faster_whisper import BatchedInferencePipeline

        self._config = config
        self._prompt = prompt_of(config.terms)
        self._model = _load_faster_whisper(weights, config)
        self._pipeline = BatchedInferencePipeline(self._model)
        self._multilingual = bool(self._model.model.is_multilingual)
        _check_language(config, self._multilingual)
        if self._prompt:
            _check_prompt(len(self._model.hf_tokenizer.encode(" " + self._prompt, add_special_tokens=False).ids))

    def hear(self, windows: Windows, languages: Sequence[str] = ()) -> list[Heard]:
        """As `Transcriber.hear`; at temperature 0, so that the same sound gives the same words."""
        languages = languages or self.languages(windows)
        heard: dict[int, Heard] = {}
        for language in sorted(set(languages)):
            places = [place for place, other in enumerate(languages) if other == language]
            heard |= zip(places, self._hear_in(language, [windows[place] for place in places]), strict=True)
        return [heard[place] for place in range(len(windows))]

    def languages(self, windows: Windows) -> tuple[str, ...]:
        """As `Transcriber.languages`."""
        if self._config.language or not self._multilingual:
            return (self._config.language or ENGLISH,) * len(windows)
        guess = partial(guess_faster_whisper, self._model, batch_size=self._config.batch_size)
        return window_languages(windows, guess, self._config)

    def _hear_in(self, language: str, windows: Windows) -> list[Heard]:
        sound, places = _join(windows)
        segments, _info = self._pipeline.transcribe(
            sound,
            language=language,
            task=task_of(language, self._config),
            beam_size=self._config.beam_size,
            temperature=0.0,
            vad_filter=False,
            clip_timestamps=[{"start": start, "end": end} for start, end in places],
            word_timestamps=True,
            without_timestamps=True,
            condition_on_previous_text=False,
            hotwords=self._prompt if language == ENGLISH else None,
            batch_size=self._config.batch_size,
        )
        return [_marked(one, language, self._config) for one in _by_window(list(segments), places)]


def task_of(language: str, config: AsrConfig) -> str:
    """What Whisper does with speech of a language: `transcribe` or `translate`."""
    return "translate" if language != ENGLISH and config.foreign is Foreign.TRANSLATE else "transcribe"


def _marked(heard: Heard, language: str, config: AsrConfig) -> Heard:
    if not heard.words:
        return heard
    if task_of(language, config) == "translate":
        return replace(heard, language=ENGLISH, translated_from=language)
    return replace(heard, language=language)


def _check_language(config: AsrConfig, multilingual: bool) -> None:
    if not multilingual and config.language not in ("", ENGLISH):
        raise ValueError(
            f"asr.language: {config.language!r} given, but {config.model!r} knows English only: "
            "give multilingual weights as asr.model"
        )


def _load_faster_whisper(weights: str, config: AsrConfig) -> Any:
    import ctranslate2  # type: ignore[import-untyped]
    from faster_whisper import WhisperModel

    device = config.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    if Path(weights).exists():
        _check_folder(Path(weights))
    try:
        return WhisperModel(
            weights,
            device=device,
            compute_type="float16" if device == "cuda" else "int8",
            cpu_threads=config.threads,
            num_workers=1,
            local_files_only=not config.download,
        )
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"asr.model: {config.model!r} cannot be loaded by faster_whisper ({reason}): give a local folder, "
            "or set asr.download=true to fetch a hub name"
        ) from error


def _check_folder(folder: Path) -> None:
    # faster-whisper would ask the hub for a tokenizer that is not there.
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"asr.model: {folder} has no {missing[0]}: give a CTranslate2 Whisper folder")


def _check_prompt(tokens: int) -> None:
    if tokens > PROMPT_TOKENS:
        raise ValueError(f"asr.terms: {tokens} tokens given, {PROMPT_TOKENS} fit before a window: leave terms out")


def _join(windows: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], list[tuple[float, float]]]:
    gap = np.zeros(round(_GAP_SECONDS * SAMPLE_RATE_HZ), dtype=np.float32)
    parts, places, reached = [], [], 0
    for window in windows:
        parts += [window, gap]
        places.append((reached / SAMPLE_RATE_HZ, (reached + len(window)) / SAMPLE_RATE_HZ))
        reached += len(window) + len(gap)
    return np.concatenate(parts), places


def _by_window(segments: Sequence[Any], places: Sequence[tuple[float, float]]) -> list[Heard]:
    heard = []
    for start, end in places:
        inside = [segment for segment in segments if start <= (segment.start + segment.end) / 2 <= end + _GAP_SECONDS]
        raw = [word for segment in inside for word in segment.words or ()]
        words = join_pieces([_word(word.word, word.start - start, word.end - start, word.probability) for word in raw])
        heard.append(
            SILENCE
            if not words
            else Heard(
                text="".join(segment.text for segment in inside),
                words=words,
                no_speech_probability=max(float(segment.no_speech_prob) for segment in inside),
                mean_log_probability=min(float(segment.avg_logprob) for segment in inside),
                compression_ratio=max(float(segment.compression_ratio) for segment in inside),
            )
        )
    return heard


def _word(text: str, start: float, end: float, probability: float) -> Word:
    start = max(0.0, float(start))
    return Word(start_seconds=start, end_seconds=max(start, float(end)), text=text, probability=float(probability))


def join_pieces(pieces: Sequence[Word]) -> tuple[Word, ...]:
    """Whole words from what the engines call words, which fall apart at hyphens: no space before, no new word."""
    whole: list[Word] = []
    for piece in pieces:
        if whole and piece.text[:1] in _JOINTS:
            before = whole.pop()
            likelihood = min(before.probability, piece.probability)
            joined = replace(before, text=before.text + piece.text.strip(), end_seconds=piece.end_seconds)
            whole.append(replace(joined, probability=likelihood))
        elif piece.text.strip():
            whole.append(replace(piece, text=piece.text.strip()))
    return tuple(whole)


class OpenAIWhisper:
    """openai-whisper, the reference that the paper names; float32 on a CPU, float16 on a GPU."""

    def __init__(self, weights: str, config: AsrConfig) -> None:
        """`weights` is a local `.pt` file or a model name. Raises ValueError in one line if it cannot be loaded."""
        import torch
        from whisper.tokenizer import get_tokenizer

        device = config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_num_threads(config.threads)
        self._config = config
        self._prompt = prompt_of(config.terms)
        self._model = _load_openai_whisper(weights, config, device)
        self._half = device == "cuda"
        _check_language(config, self._model.is_multilingual)
        if self._prompt:
            tokenizer = get_tokenizer(self._model.is_multilingual, num_languages=self._model.num_languages)
            _check_prompt(len(tokenizer.encode(" " + self._prompt)))

    def hear(self, windows: Windows, languages: Sequence[str] = ()) -> list[Heard]:
        """As `Transcriber.hear`, one window after the other."""
        languages = languages or self.languages(windows)
        return [self._hear_one(*one) for one in zip(windows, languages, strict=True)]

    def languages(self, windows: Windows) -> tuple[str, ...]:
        """As `Transcriber.languages`."""
        if self._config.language or not self._model.is_multilingual:
            return (self._config.language or ENGLISH,) * len(windows)
        return window_languages(windows, partial(guess_openai_whisper, self._model), self._config)

    def _hear_one(self, window: NDArray[np.float32], language: str) -> Heard:
        import whisper

        beams = {"beam_size": self._config.beam_size} if self._config.beam_size > 1 else {}
        found = whisper.transcribe(
            self._model,
            window,
            language=language,
            task=task_of(language, self._config),
            temperature=0.0,
            condition_on_previous_text=False,
            initial_prompt=self._prompt if language == ENGLISH else None,
            word_timestamps=True,
            without_timestamps=True,
            no_speech_threshold=None,
            fp16=self._half,
            **beams,
        )
        return _marked(_from_openai(found["segments"]), language, self._config)


def _load_openai_whisper(weights: str, config: AsrConfig, device: str) -> Any:
    import whisper

    if not Path(weights).is_file():
        weights = str(_cached_openai_file(weights, config))
    try:
        return whisper.load_model(weights, device=device)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"asr.model: {config.model!r} cannot be loaded by openai_whisper ({reason}): give a local .pt file"
        ) from error


def _cached_openai_file(name: str, config: AsrConfig) -> Path | str:
    import whisper

    address = whisper._MODELS.get(name)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"
    if address is not None and (config.download or (cache / Path(address).name).is_file()):
        return name
    raise ValueError(
        f"asr.model: {config.model!r} is neither a local .pt file nor a name in {cache}: give a file, "
        "or set asr.download=true to fetch a known name"
    )


def _from_openai(segments: Sequence[Any]) -> Heard:
    raw = [word for segment in segments for word in segment["words"] if word["start"] <= WINDOW_SECONDS]
    words = join_pieces([_word(word["word"], word["start"], word["end"], word["probability"]) for word in raw])
    if not words:
        return SILENCE
    return Heard(
        text="".join(segment["text"] for segment in segments),
        words=words,
        no_speech_probability=max(float(segment["no_speech_prob"]) for segment in segments),
        mean_log_probability=min(float(segment["avg_logprob"]) for segment in segments),
        compression_ratio=max(float(segment["compression_ratio"]) for segment in segments),
    )
