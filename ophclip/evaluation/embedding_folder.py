"""A folder of vectors that another model made, scored as if that model were here. docs/embeddings.md describes it.

FOLDER/model.json                 name, fps, logit_scale
FOLDER/frames/NAME.npy            vectors [T, D] of the frames of a video, the first at 0 s, 1/fps s apart
FOLDER/frames/NAME.npz            or `vectors`, with their `seconds` [T]
FOLDER/texts.txt, texts.npy       sentences, one a line, and their vectors [N, D]
FOLDER/classes.txt, classes.npy   or labels of classes, where prompts are no sentences

Shapes: T frames, N texts, W spans, D width.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.parsing import parse_json
from ingest.shards import sha256_of
from ophclip.evaluation.embedder import EmbeddedVideo
from ophclip.evaluation.prompts import PromptClass, PromptSet
from ophclip.evaluation.tables import read_text
from ophclip.evaluation.vectors import grid_seconds
from ophclip.models.spans import mean_of_spans

MODEL_NAME, FRAMES = "model.json", "frames"
TEXTS, CLASSES = "texts", "classes"
VECTOR_SUFFIXES = (".npy", ".npz")
_UNIT = 1e-6
"""Vectors whose length differs from one by less are taken as they are."""
_SAME_TIME = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingFolder:
    """Vectors of frames and texts, found by name."""

    folder: Path
    name: str
    fps: float
    """At least so many frames a second have a vector."""
    logit_scale: float
    weights_sha256: str
    """Over every file of the folder."""
    files: Mapping[str, Path]
    texts: Mapping[str, NDArray[np.float32]]
    classes: tuple[str, ...]

    @property
    def training(self) -> None:
        """Nobody says what the model was trained on."""
        return None

    @property
    def prompts(self) -> PromptSet | None:
        """A class for each label that has a vector; None of a folder of sentences."""
        if not self.classes:
            return None
        given = (
            PromptClass(label=label, synonyms=(), name=(label,), narration=(), description=()) for label in self.classes
        )
        return PromptSet(name=str(self.folder / f"{CLASSES}.txt"), author="", date="", classes=tuple(given))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [N, D] of texts.

        Raises:
            ValueError: some of them have none.
        """
        if lost := [text for text in texts if text not in self.texts]:
            place = self.folder / f"{CLASSES if self.classes else TEXTS}.txt"
            raise ValueError(
                f"{place}: {len(lost)} of {len(texts)} sentences of the prompts have no vector here, the first "
                f"{lost[0]!r}; embed them with the same model, or give other prompts"
            )
        return np.stack([self.texts[text] for text in texts])

    def pool_spans(self, vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """The mean of each span (first, stop) of unit vectors [T, D], of unit length again: [W, D]."""
        return mean_of_spans(vectors_td, spans)

    def require(self, paths: Sequence[Path]) -> None:
        """See that each of these videos has vectors of its own.

        Raises:
            ValueError: one has none, or shares them with another.
        """
        owners: dict[str, Path] = {}
        lost = [path for path in paths if self._key(path) is None]
        if lost:
            raise ValueError(
                f"{self.folder / FRAMES / lost[0].stem}.npy: {len(lost)} of {len(paths)} videos have no vectors, the "
                f"first {lost[0].stem}; embed them, or evaluate a split that is there"
            )
        for path in paths:
            key = self._key(path)
            assert key is not None
            if owners.setdefault(key, path) != path:
                raise ValueError(
                    f"{self.files[key]}: means {owners[key]} and {path}; put those files into folders as theirs"
                )

    def video(self, path: Path, fps: float) -> EmbeddedVideo:
        """Vectors of what a video shows at 0, 1/fps, 2/fps, ... seconds: the frame at or before each.

        Raises:
            ValueError: it has no vectors, or they are not what they should be.
        """
        file = self.file_of(path)
        if fps > self.fps * (1 + _SAME_TIME):
            raise ValueError(
                f"{self.folder / MODEL_NAME}: fps is {self.fps:g} and {fps:g} are scored; give a lower fps"
            )
        kept = _read_frames(file, self.fps)
        if self.texts and (width := len(next(iter(self.texts.values())))) != kept.vectors_td.shape[1]:
            raise ValueError(f"{file}: vectors of {kept.vectors_td.shape[1]} numbers; those of the texts have {width}")
        _require_no_gap(file, kept, 1 / fps)
        seconds_t = grid_seconds(kept.duration_seconds, fps)
        rows_t = np.maximum(np.searchsorted(kept.seconds_t, seconds_t + _SAME_TIME, side="right") - 1, 0)
        return EmbeddedVideo(
            seconds_t=seconds_t,
            vectors_td=kept.vectors_td[rows_t],
            duration_seconds=kept.duration_seconds,
            sha256=kept.sha256,
        )

    def file_of(self, path: Path) -> Path:
        """The file that holds a video's vectors.

        Raises:
            ValueError: there is none.
        """
        self.require([path])
        return self.files[self._key(path) or ""]

    def _key(self, path: Path) -> str | None:
        """The name under which its vectors lie: the longest end of its path, without suffix, that there is."""
        parts = path.with_name(path.stem).parts
        tails = ("/".join(parts[first:]) for first in range(len(parts)))
        return next((tail for tail in tails if tail in self.files), None)


def is_embedding_folder(folder: Path) -> bool:
    """Whether a folder holds vectors and not a model."""
    return (folder / MODEL_NAME).is_file()


def read_embedding_folder(folder: Path) -> EmbeddingFolder:
    """Read everything but the vectors of frames, which are read one video at a time.

    Raises:
        ValueError: a file is missing or not what it should be; one line that names it.
    """
    about = _about(folder / MODEL_NAME)
    files: dict[str, Path] = {}
    for path in sorted((folder / FRAMES).rglob("*")):
        if path.suffix in VECTOR_SUFFIXES and not path.name.startswith("."):
            key = path.relative_to(folder / FRAMES).with_suffix("").as_posix()
            if files.setdefault(key, path) != path:
                raise ValueError(f"{path}: {files[key].name} is there too; keep one of them")
    if not files:
        raise ValueError(f"{folder / FRAMES}: expected a file NAME.npy or NAME.npz for each video and there is none")
    texts, classes = read_texts(folder / TEXTS), read_texts(folder / CLASSES)
    if texts and classes:
        raise ValueError(f"{folder}: holds {TEXTS}.txt and {CLASSES}.txt; keep one of them")
    return EmbeddingFolder(
        folder=folder,
        name=about["name"],
        fps=about["fps"],
        logit_scale=about["logit_scale"],
        weights_sha256=_identity(folder, files.values()),
        files=files,
        texts=texts or classes,
        classes=tuple(classes),
    )


def _about(path: Path) -> dict[str, Any]:
    try:
        about = parse_json(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(about, dict) or not isinstance(about.get("name"), str) or not about["name"]:
        raise ValueError(f"{path}: expected an object with a `name`, beside `fps` and `logit_scale`")
    for key in ("fps", "logit_scale"):
        value = about.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"{path}: {key} is {value!r}; expected a number above 0 (CLIP's logit_scale is 100)")
    return about


def _identity(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of all files that are read."""
    others = [folder / MODEL_NAME, *(folder / f"{name}{end}" for name in (TEXTS, CLASSES) for end in (".txt", ".npy"))]
    digest = hashlib.sha256()
    for path in (path for path in (*others, *files) if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def read_texts(stem: Path) -> dict[str, NDArray[np.float32]]:
    """Vectors by line of `STEM.txt`; nothing where neither that nor `STEM.npy` is there.

    Raises:
        ValueError: one is missing, they do not belong together, or a line or a vector is not what it should be.
    """
    named, vectors = stem.with_suffix(".txt"), stem.with_suffix(".npy")
    if not named.is_file() and not vectors.is_file():
        return {}
    lines = [line.strip() for line in read_text(named).splitlines()]
    first: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line or first.setdefault(line, number) != number:
            fault = f"the text of line {first[line]} stands there again" if line else "the line is empty"
            raise ValueError(f"{named}, line {number}: {fault}; remove it and its vector")
    vectors_nd = _unit_vectors(vectors, _load(vectors))
    if len(vectors_nd) != len(lines):
        raise ValueError(f"{vectors}: {len(vectors_nd)} vectors; {named.name} has {len(lines)} lines")
    return dict(zip(lines, vectors_nd, strict=True))


def _load(path: Path) -> Any:
    """The array of an `.npy` file, or the arrays of an `.npz` file by name."""
    if not path.is_file():
        raise ValueError(f"{path}: expected this file and it is not there")
    try:
        loaded = np.load(path, allow_pickle=False)
        return {name: loaded[name] for name in loaded.files} if path.suffix == ".npz" else loaded
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as an array of numbers ({error}); write it anew") from error


def _unit_vectors(path: Path, given: Any) -> NDArray[np.float32]:
    """Rows of length one, of what should be finite vectors [N, D]."""
    if given.ndim != 2 or not given.size or given.dtype.kind != "f":
        raise ValueError(f"{path}: {given.dtype} {list(given.shape)}; expected floating-point vectors [number, width]")
    vectors_nd = given.astype(np.float32)
    if (odd := np.flatnonzero(~np.isfinite(vectors_nd).all(axis=1))).size:
        raise ValueError(f"{path}: vector {odd[0]} (counted from 0) is not finite")
    lengths_n1 = np.linalg.norm(vectors_nd.astype(np.float64), axis=1, keepdims=True)
    if (odd := np.flatnonzero(lengths_n1 == 0)).size:
        raise ValueError(f"{path}: vector {odd[0]} (counted from 0) is zero; leave the frame out, or embed it anew")
    scaled_nd = np.where(np.abs(lengths_n1 - 1) < _UNIT, vectors_nd, vectors_nd / lengths_n1)
    return np.asarray(scaled_nd, dtype=np.float32)


def _read_frames(path: Path, fps: float) -> EmbeddedVideo:
    loaded = _load(path)
    arrays = loaded if path.suffix == ".npz" else {"vectors": loaded}
    if "vectors" not in arrays:
        raise ValueError(f"{path}: no array `vectors`; it has {', '.join(sorted(arrays)) or 'none'}")
    vectors_td = _unit_vectors(path, arrays["vectors"])
    seconds_t = np.asarray(arrays.get("seconds", np.arange(len(vectors_td)) / fps), dtype=np.float64)
    if seconds_t.shape != (len(vectors_td),):
        raise ValueError(f"{path}: seconds {list(seconds_t.shape)} of {len(vectors_td)} vectors; expected one each")
    rises_t = np.diff(seconds_t, prepend=-1.0) > 0
    if (odd := np.flatnonzero(~(np.isfinite(seconds_t) & (seconds_t >= 0) & rises_t))).size:
        raise ValueError(
            f"{path}: seconds must not be negative and must rise; number {odd[0]} (counted from 0) is "
            f"{seconds_t[odd[0]]:g}" + (f", after {seconds_t[odd[0] - 1]:g}" if odd[0] else "")
        )
    duration = float(arrays.get("duration_seconds", seconds_t[-1] + 1 / fps))
    if not 0 <= duration < math.inf or duration < seconds_t[-1]:
        raise ValueError(f"{path}: duration_seconds is {duration:g}, and the last vector is of {seconds_t[-1]:g} s")
    sha256 = str(arrays.get("video_sha256", "")) or sha256_of(path)
    return EmbeddedVideo(seconds_t=seconds_t, vectors_td=vectors_td, duration_seconds=duration, sha256=sha256)


def _require_no_gap(path: Path, kept: EmbeddedVideo, step_seconds: float) -> None:
    times_t = np.concatenate([[-step_seconds], kept.seconds_t, [kept.duration_seconds]])
    if (wide := np.flatnonzero(np.diff(times_t) >= 2 * step_seconds - _SAME_TIME)).size:
        before, after = times_t[wide[0] : wide[0] + 2]
        raise ValueError(
            f"{path}: no vector between {max(before, 0):g} s and {after:g} s; expected one every {step_seconds:g} s"
        )
