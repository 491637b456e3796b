"""What a model can be given as: a bundle, a folder of open_clip's, `open_clip:NAME,FILE`, a folder of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ophclip.evaluation.embedding_folder import EmbeddingFolder, is_embedding_folder, read_embedding_folder
from ophclip.models.description import OPEN_CLIP_PREFIX, open_clip_parts, read_description

if TYPE_CHECKING:
    from ophclip.evaluation.embedder import Encoder
    from ophclip.models.bundle import Loaded

    AnyModel: TypeAlias = Path | str | Loaded | EmbeddingFolder


def holds_vectors(given: AnyModel) -> bool:
    """Whether it is a folder of vectors, by its look."""
    if isinstance(given, Path | str):
        return is_embedding_folder(Path(given))
    return isinstance(given, EmbeddingFolder)


def looked_at(given: AnyModel) -> AnyModel:
    """See that a model lies there, before torch is loaded; a folder of vectors is read.

    Raises:
        ValueError: nothing of the kind is there.
    """
    if not isinstance(given, Path | str):
        return given
    if str(given).startswith(OPEN_CLIP_PREFIX):
        open_clip_parts(str(given))
        return str(given)
    if holds_vectors(given):
        return read_embedding_folder(Path(given))
    read_description(Path(given))
    return Path(given)


def opened(given: AnyModel) -> Encoder | EmbeddingFolder:
    """The model, on the best device.

    Raises:
        ValueError: as `looked_at`, or weights are damaged.
    """
    seen = looked_at(given)
    if not isinstance(seen, Path | str):
        return seen
    from ophclip.evaluation.embedding import default_device

    if isinstance(seen, str):
        from ophclip.models.open_clip_model import load_open_clip

        return load_open_clip(seen, default_device())
    from ophclip.models.bundle import load_bundle

    return load_bundle(seen, device=default_device())
