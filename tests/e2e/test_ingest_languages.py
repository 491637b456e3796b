"""Other languages, spoken by espeak-ng and heard by Whisper base: voted on, kept, or translated and marked so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.hearing import base_weights
from ingest.config import AsrConfig, Foreign, VadConfig
from ingest.media import read_audio
from ingest.records import SAMPLE_RATE_HZ, Transcript
from ingest.speech.transcribe import build_transcriber, listen, transcribe_all

GERMAN = (
    "Zuerst eröffne ich die vordere Augenkammer mit einem kleinen Schnitt an der Hornhaut.",
    "Danach wird das Viskoelastikum in die Vorderkammer gespritzt, damit sie stabil bleibt.",
    "Jetzt entferne ich die getrübte Linse mit dem Ultraschall.",
)
ENGLISH = ("First I make a small incision at the cornea.", "Then I open the capsule with the forceps.")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float32]]:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng on this machine, and no voice that installs as a package speaks another language")
    folder = tmp_path_factory.mktemp("spoken")
    german, english = _spoken("de", GERMAN, folder), _spoken("en", ENGLISH, folder)
    seconds = np.arange(20 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    music = sum(0.03 * np.sin(2 * np.pi * hertz * seconds) for hertz in (220, 277, 330)).astype(np.float32)
    return {"music, then German": np.concatenate([music, german]), "English": english}


def _spoken(language: str, sentences: tuple[str, ...], folder: Path) -> NDArray[np.float32]:
    parts = []
    for number, text in enumerate(sentences):
        path = folder / f"{language}{number}.wav"
        subprocess.run(["espeak-ng", "-v", language, "-s", "140", "-w", str(path), text], check=True)
        parts += [read_audio(path), np.zeros(SAMPLE_RATE_HZ // 2, np.float32)]
    return np.concatenate(parts)


def _heard(sounds: dict[str, NDArray[np.float32]], foreign: Foreign, folder: Path) -> dict[str, Transcript]:
    config = AsrConfig(model=str(base_weights(folder)), device="cpu", foreign=foreign)
    speeches = [listen(sound, VadConfig()) for sound in sounds.values()]
    return dict(zip(sounds, transcribe_all(speeches, build_transcriber(config), config), strict=True))


@pytest.mark.slow
def test_german_is_kept_as_german_or_translated_and_marked(
    sounds: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    kept = _heard(sounds, Foreign.KEEP, tmp_path)
    assert {name: one.language for name, one in kept.items()} == {"music, then German": "de", "English": "en"}
    assert not any(segment.translated_from for one in kept.values() for segment in one.segments)
    assert "Ultraschall" in " ".join(segment.text for segment in kept["music, then German"].segments)
    translated = _heard(sounds, Foreign.TRANSLATE, tmp_path)
    assert {one.language for one in translated.values()} == {"en"}
    assert {segment.translated_from for segment in translated["music, then German"].segments} == {"de"}
    assert {segment.translated_from for segment in translated["English"].segments} == {""}
    assert "Ultraschall" not in " ".join(segment.text for segment in translated["music, then German"].segments)
