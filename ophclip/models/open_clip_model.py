"""Any model that open_clip can build, as open_clip itself runs it: `open_clip:NAME,FILE` or `open_clip:FOLDER`.

For models that a bundle cannot describe (CoCa), and for pictures resized as open_clip resizes them. Nothing is fetched.
Shapes: N pictures or texts, T frames of a video, W spans of them, D width.
"""

from __future__ import annotations

import difflib
import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.factory import load_checkpoint
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from ingest.shards import sha256_of
from ophclip.data.hub import cached, is_elsewhere
from ophclip.models.description import LOCAL_FOLDER, OPEN_CLIP_CONFIG_NAME, open_clip_parts
from ophclip.models.spans import mean_of_spans
from ophclip.models.weights import weights_file

_TEXTS_AT_ONCE = 256
_HUB_NAMES = ("hf_model_name", "hf_tokenizer_name")
_LOOKS = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenClipModel:
    """A model of open_clip's in evaluation, with its own transform of pictures and its own tokenizer."""

    name: str
    weights_sha256: str
    model: nn.Module
    transform: Callable[[Image.Image], Tensor]
    tokenizer: Callable[[list[str]], Tensor]
    device: torch.device

    @property
    def logit_scale(self) -> float:
        """The factor of cosines."""
        scale: Any = self.model.logit_scale
        return float(scale.detach().exp())

    @property
    def training(self) -> None:
        """Nobody says what it was trained on."""
        return None

    @property
    def frame_side_px(self) -> None:
        """Pictures are wanted as they are: the transform resizes them."""
        return None

    @torch.inference_mode()
    def embed_frames(self, frames: Iterable[NDArray[np.uint8]], batch: int = 64) -> NDArray[np.float32]:
        """Pictures (uint8 RGB [H, W, 3]) -> unit vectors [N, D]."""
        stream, parts = iter(frames), []
        while pictures := [self.transform(Image.fromarray(pixels)) for pixels in islice(stream, batch)]:
            parts.append(self._unit("encode_image", torch.stack(pictures)))
        return np.concatenate(parts)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit vectors [N, D]."""
        firsts = range(0, len(texts), _TEXTS_AT_ONCE)
        parts = (self.tokenizer(list(texts[first : first + _TEXTS_AT_ONCE])) for first in firsts)
        return np.concatenate([self._unit("encode_text", part) for part in parts])

    def pool_spans(self, vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """The mean of each span (first, stop) of unit vectors of frames [T, D], of unit length again: [W, D]."""
        return mean_of_spans(vectors_td, spans)

    def _unit(self, half: str, given: Tensor) -> NDArray[np.float32]:
        vectors: Tensor = getattr(self.model, half)(given.to(self.device), normalize=True)
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)


def load_open_clip(spec: str, device: torch.device | str = "cpu") -> OpenClipModel:
    """Build what `spec` names and load its weights, read as tensors.

    Raises:
        ValueError: open_clip knows no such architecture, a file is missing or does not fit, or a text tower or a
            tokenizer of the Hugging Face hub is not in its cache.
    """
    name, place = open_clip_parts(spec)
    file = weights_file(place)
    described = _described(name, spec)
    text = {key: _local(value, spec) if key in _HUB_NAMES else value for key, value in described["text_cfg"].items()}
    looks = released_looks(name)
    with torch.random.fork_rng(devices=[]):
        model = open_clip.create_model(
            name, load_weights=False, pretrained_text=False, text_cfg=text, force_preprocess_cfg=looks
        )
    try:
        load_checkpoint(model, str(file))
    except (
        OSError,
        EOFError,
        RuntimeError,
        KeyError,
        AttributeError,
        pickle.UnpicklingError,
        SafetensorError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{spec}: {file} does not hold weights of this architecture ({reason})") from error
    visual: Any = model.visual
    return OpenClipModel(
        name=place.name if name.startswith(LOCAL_FOLDER) else name,
        weights_sha256=sha256_of(file),
        model=model.to(device).eval(),
        transform=image_transform_v2(PreprocessCfg(**visual.preprocess_cfg), is_train=False),
        tokenizer=_tokenizer(name, text),
        device=torch.device(device),
    )


def _described(name: str, spec: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] | None = open_clip.get_model_config(name)
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{spec}: {OPEN_CLIP_CONFIG_NAME} cannot be read ({error}); copy the folder anew") from error
    if found is None or "text_cfg" not in found:
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3, cutoff=0.4)
        raise ValueError(f"{spec}: {name} is no architecture of open_clip; near ones: {', '.join(near) or 'none'}")
    return found


def _local(name: str, spec: str) -> str:
    """A hub name as its folder in the cache."""
    if not is_elsewhere(name):
        return name
    folder = cached(name)
    if folder is None:
        raise ValueError(f"{spec}: needs {name} of the Hugging Face hub, which is not in its cache; fetch it first")
    return str(folder)


def released_looks(name: str) -> dict[str, Any]:
    """How the releases of this architecture look at pictures, where they agree; else open_clip's default.

    open_clip itself takes its default with a file of weights, with which SigLIP's are wrong.
    """
    released = [get_pretrained_cfg(name, tag) for tag in list_pretrained_tags_by_model(name)]
    looks = [{key: one[key] for key in _LOOKS if key in one} for one in released]
    return looks[0] if looks and all(one == looks[0] for one in looks) else {}


def _tokenizer(name: str, text: dict[str, Any]) -> Callable[[list[str]], Tensor]:
    source = text.get("hf_tokenizer_name")
    if not source or name.startswith(LOCAL_FOLDER):
        plain: Callable[[list[str]], Tensor] = open_clip.get_tokenizer(name)
        return plain
    options = {"tokenizer_mode": text.get("tokenizer_mode"), **text.get("tokenizer_kwargs", {})}
    found: Callable[[list[str]], Tensor] = HFTokenizer(source, context_length=text.get("context_length", 77), **options)
    return found
