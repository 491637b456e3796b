"""open_clip's front door, with our towers behind it: a model, a transform for training and one for use, a tokenizer.

Existing code changes `open_clip.` to `ophclip.` and runs. Nothing is fetched unless `download` is given.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL.Image import Image
from torch import Tensor

from ingest.tensors import read_tensors
from ophclip.config import AugmentConfig
from ophclip.data.augment import Augment
from ophclip.data.hub import fetch
from ophclip.data.pictures import square, stored_side_px
from ophclip.data.tokenizer import Tokenizer, build_tokenizer
from ophclip.model_options import ModelConfig, TextConfig, TowerKind, VisualConfig
from ophclip.models.architectures import OWN, architecture
from ophclip.models.bundle import load_bundle
from ophclip.models.description import read_description
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.embedding import EmbeddingModel
from ophclip.models.inputs import pixels_of
from ophclip.models.open_clip_folder import named_as_ours
from ophclip.models.open_clip_model import released_looks
from ophclip.models.preprocess import Preprocess, build_preprocess
from ophclip.models.towers import POOLERS
from ophclip.models.weights import load_strictly, refuse_other_activation, weights_file

_SCHEMES = ("local-dir:", "hf-hub:")
"""How open_clip marks a folder and a hub name; ours are told apart without."""
_SCALES = {"log_logit_scale", "logit_bias"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainTransform:
    """A picture as training draws it: a random crop, flip, colour and blur; as random as torch's own generator."""

    augment: Augment

    def __call__(self, picture: Image | NDArray[np.uint8]) -> Tensor:
        """A PIL picture or uint8 RGB [H, W, 3] -> float32 [3, S, S]."""
        stored_hwc = square(pixels_of(picture), stored_side_px(self.augment.visual.image_size_px))
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        frames_btchw = torch.from_numpy(np.ascontiguousarray(stored_hwc)).permute(2, 0, 1)[None, None]
        return self.augment(frames_btchw, generator)[0, 0]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextIds:
    """A tokenizer as open_clip's are called: a text or several -> ids int64 [N, L]."""

    tokenizer: Tokenizer

    @property
    def context_length(self) -> int:
        """Most tokens of a text; longer texts are cut."""
        return self.tokenizer.context_length

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """The ids of at least one text."""
        given = [texts] if isinstance(texts, str) else list(texts)
        if not given:
            raise ValueError("tokenizer: no texts given, expected at least one")
        return self.tokenizer(given).ids_bl


def create_model_and_transforms(
    name: str | Path,
    pretrained: str | Path | None = None,
    *,
    device: torch.device | str = "cpu",
    download: bool = False,
) -> tuple[EmbeddingModel, TrainTransform, Preprocess]:
    """A model in evaluation, a transform for training, and one for use; both take PIL pictures and give [3, S, S].

    Args:
        name: the folder of a bundle or of open_clip's; with `download` also a hub name; or an architecture of
            open_clip's with `pretrained`.
        pretrained: a local file, or a folder that holds one, with weights of that architecture.
        device: where the model goes.
        download: whether a hub name may be fetched.

    Raises:
        ValueError: nothing of that name is here, or the weights are of another architecture.
    """
    if pretrained is None:
        loaded = load_bundle(_found(name, download=download), device)
        model, config, tokenizer = loaded.model, loaded.config, loaded.tokenizer
    else:
        config = _architecture_config(str(name))
        model = _with_weights(config, Path(pretrained)).to(device)
        tokenizer = build_tokenizer(config.text)
    preprocess = build_preprocess(config.visual)
    train = TrainTransform(augment=Augment(config=AugmentConfig(), visual=config.visual))
    return EmbeddingModel(model, preprocess, tokenizer).eval(), train, preprocess


def get_tokenizer(name: str | Path, *, download: bool = False) -> TextIds:
    """The tokenizer of a bundle, of a folder or hub name, or of an architecture of open_clip's; no weights are read.

    Raises:
        ValueError: nothing of that name is here.
    """
    if not Path(name).exists() and _is_architecture(str(name)):
        return TextIds(tokenizer=build_tokenizer(_architecture_config(str(name)).text))
    return TextIds(tokenizer=build_tokenizer(read_description(_found(name, download=download)).config.text))


def _found(name: str | Path, *, download: bool) -> Path:
    """The folder that `name` means.

    Raises:
        ValueError: an architecture, which has no weights of its own, or nothing.
    """
    plain = str(name)
    for scheme in _SCHEMES:
        plain = plain.removeprefix(scheme)
    if Path(plain).exists():
        return Path(plain)
    if download:
        return fetch(plain)
    if _is_architecture(plain):
        raise ValueError(f"{plain}: an architecture without weights; give pretrained=FILE with weights of it")
    near = difflib.get_close_matches(plain, [*OWN, *open_clip.list_models()], n=3, cutoff=0.6)
    hint = f"; architectures of open_clip like it: {', '.join(near)}" if near else ""
    raise ValueError(f"{plain}: no such folder; a hub name needs download=True{hint}")


def _is_architecture(name: str) -> bool:
    return name in OWN or name in open_clip.list_models()


def _architecture_config(name: str) -> ModelConfig:
    """An architecture of open_clip's as our configuration.

    Pictures are normalised as its releases agree to do, else as open_clip does by default.
    """
    described = architecture(name, "create_model_and_transforms")
    looks = released_looks(name)
    visual = VisualConfig(
        name=name,
        image_size_px=described["vision_cfg"].get("image_size", 224),
        mean=tuple(looks.get("mean", OPENAI_DATASET_MEAN)),
        std=tuple(looks.get("std", OPENAI_DATASET_STD)),
    )
    text = _text_config(name, described["text_cfg"])
    return ModelConfig(name=name, embed_dim=described["embed_dim"], visual=visual, text=text)


def _text_config(name: str, text: dict[str, Any]) -> TextConfig:
    length = text.get("context_length", 77)
    if "hf_model_name" not in text:
        return TextConfig(name=name, context_length=length, tokenizer=text.get("hf_tokenizer_name", ""))
    poolings = {theirs: ours for ours, theirs in POOLERS.items()}
    pooler = text.get("hf_pooler_type", "mean_pooler")
    if text.get("hf_proj_type") != "linear" or pooler not in poolings:
        raise ValueError(f"{name}: its text tower is not known here; `open_clip:{name},FILE` can be scored as it is")
    return TextConfig(kind=TowerKind.HF, name=text["hf_model_name"], context_length=length, pooling=poolings[pooler])


def _with_weights(config: ModelConfig, given: Path) -> DualEncoder:
    if not given.exists():
        raise ValueError(
            f"{given}: no such file; expected local weights of {config.name} (names of releases are not fetched)"
        )
    file = weights_file(given)
    tensors = read_tensors(file)
    own = {name: value for name, value in named_as_ours(tensors).items() if "." in name or name in _SCALES}
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, pretrained=False, sigmoid="logit_bias" in own)
    for tower in (model.visual, model.text):
        refuse_other_activation(tower.network, tensors, given)
    load_strictly(model, own, file, f"expected weights of {config.name}")
    return model
