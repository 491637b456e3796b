"""How the models of a probe are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ophclip.evaluation.embedding_folder import EmbeddingFolder
from ophclip.models.description import OPEN_CLIP_PREFIX
from ophclip.probe_options import ProbeConfig, ProbeHead

if TYPE_CHECKING:
    from ophclip.evaluation.opening import AnyModel

BUNDLE, RANDOM = "bundle", "random"


def named_models(bundle: AnyModel, against: Sequence[AnyModel], config: ProbeConfig) -> list[tuple[str, AnyModel]]:
    """`bundle`, `random` (the bundle stands beside it) where it tells its architecture, and others by their folders.

    Raises:
        ValueError: two would have the same name, or one that has no weights to train is to be fine-tuned.
    """
    models = [(BUNDLE, bundle)]
    if config.scratch and tells_architecture(bundle):
        models.append((RANDOM, bundle))
    models += [(_name(one), one) for one in against]
    names = [name for name, _ in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"--against: two models would be called {twice[0]!r}; rename or link one of the folders")
    if ProbeHead.FINETUNE in config.heads and not all(tells_architecture(one) for _, one in models):
        raise ValueError("heads: finetune trains bundles and open_clip's folders; leave it out, or the other models")
    return models


def why_not_random(model: AnyModel, config: ProbeConfig) -> str:
    """Why nothing is compared with random weights, in one line; empty where it is."""
    if not config.scratch:
        return "not compared with random weights: scratch=false"
    if tells_architecture(model):
        return ""
    what = "open_clip builds it, not ophclip" if isinstance(model, str) else "vectors do not tell their architecture"
    return f"not compared with random weights of the same architecture: {what}; give a model of your own as --against"


def tells_architecture(model: AnyModel) -> bool:
    """Whether the same model can be built anew: not of vectors, nor where open_clip itself builds it."""
    return not isinstance(model, EmbeddingFolder | str)


def _name(given: AnyModel) -> str:
    if isinstance(given, EmbeddingFolder):
        return given.folder.resolve().name
    if isinstance(given, str):
        return re.sub(r"[^\w.-]+", "-", given.removeprefix(OPEN_CLIP_PREFIX))
    return given.resolve().name if isinstance(given, Path) else given.name
