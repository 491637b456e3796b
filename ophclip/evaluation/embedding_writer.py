"""`ophclip embed`: the vectors of a dataset's files and of what is said of its classes, as a folder of vectors.

What lies in the folder already is kept, so that a run that was cut short goes on and several datasets can share one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_bytes, write_json, write_text
from ingest.shards import sha256_of
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.embedding_folder import FRAMES, MODEL_NAME, TEXTS, EmbeddingFolder, read_texts
from ophclip.evaluation.opening import opened
from ophclip.evaluation.prompts import Style
from ophclip.evaluation.records import labelled_files
from ophclip.evaluation.runs import asked
from ophclip.evaluation.tables import read_text
from ophclip.model_options import FramePooling
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.evaluation.embedder import EmbeddedVideo, Encoder
    from ophclip.evaluation.opening import AnyModel


def embed_dataset(
    model: AnyModel,
    name: str,
    root: Path,
    out: Path,
    *,
    config: ZeroShotConfig,
    prompts: str = "",
    videos: tuple[Path, ...] = (),
    progress: Progress | None = None,
) -> int:
    """Write vectors of all files of a dataset, and of all sentences of its prompts; returns how many files were new.

    Raises:
        ValueError: model, dataset or prompts are not what they should be, frames are pooled by something other than the
            mean, `out` holds vectors of another model or rate, or a file cannot be decoded.
    """
    question = asked(model, name, root, prompts, videos, config=config)
    encoder = opened(question.model)
    _require_mean(model, encoder)
    assert not isinstance(encoder, EmbeddingFolder)
    _begin(out, encoder, config.fps)
    sentences = [text for entry in question.prompts.classes for text in entry.sentences(Style.ENSEMBLE)]
    _add_texts(out / TEXTS, sentences, encoder)
    named = names_of_files(list(labelled_files(question.dataset).values()))
    new = 0
    for done, (path, file) in enumerate(named.items()):
        if progress is not None:
            progress(done, len(named), path.name)
        new += _add_video(out / FRAMES / f"{file}.npz", path, encoder, config)
    if progress is not None:
        progress(len(named), len(named), "")
    return new


def names_of_files(paths: Sequence[Path]) -> dict[Path, str]:
    """What the vectors of each file are called: its name, with as many folders as make all of them differ."""
    stems = {path: path.with_name(path.stem).parts for path in dict.fromkeys(paths)}
    deepest = max((len(parts) for parts in stems.values()), default=1)
    for depth in range(1, deepest + 1):
        names = {path: "/".join(parts[-depth:]) for path, parts in stems.items()}
        if len(set(names.values())) == len(names):
            return names
    twice = sorted(path for path, parts in stems.items() if list(stems.values()).count(parts) > 1)
    raise ValueError(f"{twice[0]} and {twice[1]} differ by their suffix only; rename one of them")


def _require_mean(model: AnyModel, encoder: Encoder | EmbeddingFolder) -> None:
    if isinstance(encoder, EmbeddingFolder):
        raise ValueError(f"{encoder.folder}: holds vectors already; give a bundle or a model of open_clip's")
    from ophclip.models.bundle import Loaded

    if isinstance(encoder, Loaded) and encoder.config.pooling is not FramePooling.MEAN:
        raise ValueError(
            f"{model}: pools frames by {encoder.config.pooling.value}, and vectors in a folder are pooled by the mean; "
            "score the bundle itself"
        )


def _begin(out: Path, encoder: Encoder, fps: float) -> None:
    """Write `model.json`, or see that the one that is there is of the same model and rate."""
    about = {
        "name": encoder.name,
        "fps": fps,
        "logit_scale": encoder.logit_scale,
        "encoder_sha256": encoder.weights_sha256,
    }
    place = out / MODEL_NAME
    if not place.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"{out}: not empty, and no {MODEL_NAME} in it; give another folder")
        write_json(place, about)
        return
    if json.loads(read_text(place)) != about:
        raise ValueError(f"{place}: of another model or another fps; give another folder")


def _add_texts(stem: Path, sentences: Sequence[str], encoder: Encoder) -> None:
    kept = read_texts(stem)
    if new := [text for text in dict.fromkeys(sentences) if text not in kept]:
        vectors = {**kept, **dict(zip(new, encoder.embed_texts(new), strict=True))}
        write_bytes(stem.with_suffix(".npy"), _array(np.stack(list(vectors.values()))))
        write_text(stem.with_suffix(".txt"), "".join(f"{text}\n" for text in vectors))


def _add_video(place: Path, path: Path, encoder: Encoder, config: ZeroShotConfig) -> bool:
    """Whether it was new."""
    from ophclip.evaluation.embedding import embed_video

    sha256 = sha256_of(path)
    if place.is_file():
        with np.load(place, allow_pickle=False) as kept:
            if str(kept["video_sha256"]) != sha256:
                raise ValueError(f"{place}: made from another file than {path}; give another folder")
        return False
    seen = embed_video(encoder, path, fps=config.fps, batch_frames=config.batch_frames, sha256=sha256)
    write_bytes(place, _arrays(seen))
    return True


def _array(vectors_nd: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, vectors_nd)
    return buffer.getvalue()


def _arrays(seen: EmbeddedVideo) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        vectors=seen.vectors_td,
        seconds=seen.seconds_t,
        duration_seconds=np.array(seen.duration_seconds),
        video_sha256=np.array(seen.sha256),
    )
    return buffer.getvalue()
