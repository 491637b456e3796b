"""The models whose features are probed: the bundle, the same architecture with random weights, and others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ophclip.evaluation.embedding import EmbeddingStore, default_device
from ophclip.models.bundle import Loaded, load_bundle
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.probe_options import ProbeConfig

BUNDLE, RANDOM = "bundle", "random"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A model by the name that it has in the result."""

    name: str
    loaded: Loaded
    store: EmbeddingStore


def contender_names(against: Sequence[Path], *, scratch: bool) -> tuple[str, ...]:
    """How the models are called: `bundle`, `random`, and the others by their folders.

    Raises:
        ValueError: two would have the same name.
    """
    names = [BUNDLE, *([RANDOM] if scratch else []), *(path.resolve().name for path in against)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"--against: two models would be called {twice[0]!r}; rename or link one of the folders")
    return tuple(names)


def contenders(bundle: Path, against: Sequence[Path], config: ProbeConfig, cache: Path) -> Iterator[Contender]:
    """Each model, loaded when its turn comes; what it sees of videos is kept in `cache`.

    Raises:
        ValueError: a folder is no bundle.
    """
    device = default_device()
    first = load_bundle(bundle, device=device)
    yield _contender(BUNDLE, first, config, cache)
    if config.scratch:
        yield _contender(RANDOM, from_scratch(first, config.seed), config, cache)
    for path in against:
        yield _contender(path.resolve().name, load_bundle(path, device=device), config, cache)


def from_scratch(loaded: Loaded, seed: int) -> Loaded:
    """The same architecture with weights that were never trained, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(loaded.config, pretrained=False, sigmoid=loaded.model.logit_bias is not None)
    return replace(loaded, model=model.to(loaded.model.device).eval(), weights_sha256=_sha256(model))


def _contender(name: str, loaded: Loaded, config: ProbeConfig, cache: Path) -> Contender:
    store = EmbeddingStore(loaded=loaded, fps=config.fps, batch_frames=config.batch_frames, folder=cache)
    return Contender(name=name, loaded=loaded, store=store)


def _sha256(model: DualEncoder) -> str:
    whole = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        whole.update(name.encode())
        whole.update(value.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
