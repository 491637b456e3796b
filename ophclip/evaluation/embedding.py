"""Frames of a video as vectors: decoded and encoded once per video and weights, kept in memory or in a folder.

Shapes: T frames, D width, C classes.
"""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_bytes
from ingest.media import frame_blocks, probe
from ingest.shards import sha256_of
from ophclip.evaluation.datasets.coco import PICTURES
from ophclip.evaluation.embedder import EmbeddedVideo, Encoder
from ophclip.evaluation.embedding_folder import EmbeddingFolder
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.vectors import grid_seconds, unit

_WHOLE_FRAMES_A_PASS = 32


@dataclass(kw_only=True, slots=True)
class EmbeddingStore:
    """Embeds each video and each sentence once, or finds their vectors in a folder that another model made.

    With a `folder`, what was embedded of videos is found again there, by model and file content.
    """

    model: Encoder | EmbeddingFolder
    fps: float = 1.0
    batch_frames: int = 64
    folder: Path | None = None
    frames_encoded: int = 0
    seconds_spent: float = 0.0
    _memory: dict[Path, EmbeddedVideo] = field(default_factory=dict)
    _texts: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def video(self, path: Path) -> EmbeddedVideo:
        """Vectors of a video's frames at 0, 1/fps, 2/fps, ... seconds; a picture is a video of one frame.

        Raises:
            ValueError: the file cannot be decoded, or has no vectors.
        """
        if path not in self._memory:
            began = time.perf_counter()
            self._memory[path] = self._read(path)
            self.seconds_spent += time.perf_counter() - began
        return self._memory[path]

    def require(self, paths: Sequence[Path]) -> None:
        """See that a folder of vectors has those of all these videos.

        Raises:
            ValueError: some are missing.
        """
        if isinstance(self.model, EmbeddingFolder):
            self.model.require(paths)

    def texts(self, sentences: Sequence[str]) -> Floats:
        """Unit vectors [N, D] of sentences; each is encoded once."""
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._texts]
        if new:
            self._texts.update(zip(new, self.model.embed_texts(new), strict=True))
        return np.stack([self._texts[sentence] for sentence in sentences]).astype(np.float64)

    def _read(self, path: Path) -> EmbeddedVideo:
        if isinstance(self.model, EmbeddingFolder):
            return self.model.video(path, self.fps)
        sha256 = sha256_of(path)
        kept = None
        if self.folder is not None:
            kept = self.folder / _encoder_key(self.model) / f"{sha256[:32]}-{self.fps:g}fps.npz"
            if found := _read_cache(kept, sha256):
                return found
        embedded = embed_video(self.model, path, fps=self.fps, batch_frames=self.batch_frames, sha256=sha256)
        self.frames_encoded += len(embedded.seconds_t)
        if kept is not None:
            _write_cache(kept, embedded)
        return embedded


def _encoder_key(encoder: Encoder) -> str:
    """What vectors of frames depend on: the same weights are another model under another name or at another size."""
    about = f"{encoder.name}|{encoder.frame_side_px}"
    return f"{encoder.weights_sha256[:16]}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


def embed_video(encoder: Encoder, path: Path, *, fps: float, batch_frames: int, sha256: str = "") -> EmbeddedVideo:
    """Decode and encode the frames shown at 0, 1/fps, 2/fps, ... seconds, a batch at a time; or a single picture.

    Raises:
        ValueError: the file cannot be decoded.
    """
    if path.suffix.lower() in PICTURES:
        from ophclip.data.pictures import read_picture

        seconds_t, duration_seconds = np.zeros(1), 0.0
        parts = [encoder.embed_frames([read_picture(path)])]
    else:
        duration_seconds = probe(path).duration_seconds
        seconds_t = grid_seconds(duration_seconds, fps)
        side_px = encoder.frame_side_px
        at_once = batch_frames if side_px is not None else min(batch_frames, _WHOLE_FRAMES_A_PASS)
        parts = [
            encoder.embed_frames(frames.pixels_thwc, batch_frames)
            for frames in frame_blocks(path, seconds_t, at_once, short_side_px=side_px)
        ]
    return EmbeddedVideo(
        seconds_t=seconds_t,
        vectors_td=np.concatenate(parts),
        duration_seconds=duration_seconds,
        sha256=sha256 or sha256_of(path),
    )


def default_device() -> str:
    """`cuda` where there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def class_vectors(store: EmbeddingStore, prompts: PromptSet, style: Style) -> Floats:
    """One unit vector per class [C, D]: the mean of the unit vectors of its sentences, normalised again."""
    store.texts([text for entry in prompts.classes for text in entry.sentences(style)])
    return unit(np.stack([store.texts(entry.sentences(style)).mean(axis=0) for entry in prompts.classes]))


def _write_cache(path: Path, embedded: EmbeddedVideo) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        seconds_t=embedded.seconds_t,
        vectors_td=embedded.vectors_td,
        duration_seconds=np.float64(embedded.duration_seconds),
    )
    write_bytes(path, buffer.getvalue())


def _read_cache(path: Path, sha256: str) -> EmbeddedVideo | None:
    """What was kept; None where nothing was, or where the file is damaged and has to be made again."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return EmbeddedVideo(
                seconds_t=arrays["seconds_t"],
                vectors_td=arrays["vectors_td"],
                duration_seconds=float(arrays["duration_seconds"]),
                sha256=sha256,
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        path.unlink()
        return None
