"""Whisper tiny.en of CTranslate2 as the file that openai-whisper reads, so that both run the same weights."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

HEADS = 6
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def write_openai(weights: Path, target: Path) -> Path:
    """Write the tensors of the CTranslate2 folder `weights` as the checkpoint `target`."""
    tensors = read_ctranslate2(weights / "model.bin")
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
    torch.save({"dims": dims, "model_state_dict": state}, target)
    return target


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
