"""The models whose features are probed: the given one, its architecture with random weights, and others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ophclip.evaluation.embedder import Encoder
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.embedding_folder import EmbeddingFolder
from ophclip.evaluation.opening import opened
from ophclip.evaluation.probes.names import RANDOM
from ophclip.models.bundle import Loaded
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.probe_options import ProbeConfig

if TYPE_CHECKING:
    from ophclip.evaluation.opening import AnyModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A model by the name that it has in the result."""

    name: str
    model: Encoder | EmbeddingFolder
    store: EmbeddingStore

    @property
    def loaded(self) -> Loaded:
        """What can be trained.

        Raises:
            ValueError: it is no bundle.
        """
        if not isinstance(self.model, Loaded):
            raise ValueError(f"{self.name}: finetune trains a bundle or a folder of open_clip's; leave it out of heads")
        return self.model


def contenders(models: Sequence[tuple[str, AnyModel]], config: ProbeConfig, cache: Path) -> Iterator[Contender]:
    """Each model, loaded when its turn comes; what it sees of videos is kept in `cache`.

    Raises:
        ValueError: weights are damaged.
    """
    (name, given), *others = models
    first = opened(given)
    yield _contender(name, first, config, cache)
    for name, given in others:
        if name == RANDOM:
            assert isinstance(first, Loaded)
            yield _contender(name, from_scratch(first, config.seed), config, cache)
        else:
            yield _contender(name, opened(given), config, cache)


def from_scratch(loaded: Loaded, seed: int) -> Loaded:
    """The same architecture with weights that were never trained, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(loaded.config, pretrained=False, sigmoid=loaded.model.logit_bias is not None)
    return replace(loaded, model=model.to(loaded.model.device).eval(), weights_sha256=_sha256(model), training=None)


def _contender(name: str, model: Encoder | EmbeddingFolder, config: ProbeConfig, cache: Path) -> Contender:
    store = EmbeddingStore(model=model, fps=config.fps, batch_frames=config.batch_frames, folder=cache)
    return Contender(name=name, model=model, store=store)


def _sha256(model: DualEncoder) -> str:
    whole = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        whole.update(name.encode())
        whole.update(value.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
