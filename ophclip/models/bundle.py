"""One folder that carries a trained dual encoder anywhere: weights, configuration, tokenizer, preprocessing, card.

BUNDLE/model.safetensors   every tensor, under open_clip's names
BUNDLE/config.json         ModelConfig, SHA-256 of the weights, version
BUNDLE/README.md           the card
BUNDLE/training.json       which videos its training may have drawn, where it was trained
BUNDLE/text/config.json    of a Hugging Face text tower
BUNDLE/tokenizer*.json     where the text tower does not use CLIP's tokens
BUNDLE/open_clip_config.json   where open_clip could build the same model: it opens the folder too
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from ingest.tensors import read_tensors
from ophclip.data.files import text_folder
from ophclip.data.hub import fetch, is_elsewhere
from ophclip.data.tokenizer import Tokenizer, build_tokenizer
from ophclip.model_options import ModelConfig, TowerKind
from ophclip.models.card import card_text
from ophclip.models.description import (
    CARD_NAME,
    CONFIG_NAME,
    FORMAT_VERSION,
    OPEN_CLIP_CONFIG_NAME,
    REMEDY,
    TEXT_FOLDER,
    WEIGHTS_NAME,
    is_foreign_folder,
    read_description,
    refuse_other_content,
)
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.embed import embed_frames, embed_texts, pool_spans
from ophclip.models.embedding import EmbeddingModel
from ophclip.models.open_clip_folder import (
    described_for_open_clip,
    named_as_ours,
    named_for_open_clip,
    read_open_clip_folder,
)
from ophclip.models.preprocess import Preprocess, build_preprocess
from ophclip.models.training_record import RECORD_NAME, TrainingRecord, read_training_record
from ophclip.models.weights import load_strictly


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What a bundle holds, ready to use: the model is in evaluation."""

    model: DualEncoder
    preprocess: Preprocess
    tokenizer: Tokenizer
    config: ModelConfig
    """`text.name` is the folder inside the bundle where the text tower is Hugging Face's."""
    weights_sha256: str
    training: TrainingRecord | None = None
    """What it was trained on, where the bundle says so."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self.config.name

    @property
    def logit_scale(self) -> float:
        """The factor of cosines."""
        return float(self.model.logit_scale.detach())

    @property
    def frame_side_px(self) -> int:
        """Short side to which pictures may be decoded without loss."""
        return self.config.visual.image_size_px

    def embed_frames(self, frames: Iterable[NDArray[np.uint8]], batch: int = 64) -> NDArray[np.float32]:
        """Pictures (uint8 RGB [H, W, 3]) -> unit vectors [N, D]."""
        return embed_frames(self.model, self.preprocess, frames, batch)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit vectors [N, D]."""
        return embed_texts(self.model, self.tokenizer, texts)

    def pool_spans(self, vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Unit vectors of frames [T, D] and spans (first, stop) of them -> unit vectors [W, D]."""
        return pool_spans(self.model, vectors_td, spans)


def save_bundle(
    folder: Path,
    model: DualEncoder,
    config: ModelConfig,
    card: Mapping[str, object],
    options: Mapping[str, Any] | None = None,
    *,
    training: TrainingRecord | None = None,
) -> str:
    """Write the bundle, replacing one that stands there whole; returns the SHA-256 of its weights.

    Args:
        folder: where.
        model: what is written.
        config: what the model was built from.
        card: rows of the card, beside what the model itself says.
        options: those of its training, for the card.
        training: which videos it was trained on.

    Raises:
        ValueError: `folder` exists and is something other than a bundle.
    """
    refuse_other_content(folder)
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(named_for_open_clip(tensors), draft / WEIGHTS_NAME, metadata={"format": "pt"})
    digest = _sha256(draft / WEIGHTS_NAME)
    _write_text_parts(draft, config)
    portable = _portable(config)
    _write_json(
        draft / CONFIG_NAME,
        {"format_version": FORMAT_VERSION, "weights_sha256": digest, "model": _inside_bundle(portable)},
    )
    if described := described_for_open_clip(config, sigmoid=model.logit_bias is not None):
        _write_json(draft / OPEN_CLIP_CONFIG_NAME, described)
    if training is not None:
        _write_json(draft / RECORD_NAME, dataclasses.replace(training, options=options or {}).to_json())
    facts = {"weights SHA-256": f"`{digest}`", **card}
    text = card_text(portable, facts, options=options, opens_in_open_clip=described is not None)
    (draft / CARD_NAME).write_text(text, encoding="utf-8")
    _swap(draft, folder)
    return digest


def _swap(draft: Path, folder: Path) -> None:
    """Put `draft` in the place of `folder`; what stood there goes only when the new one is in place."""
    aside = folder.with_name(f".{folder.name}.before")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    draft.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def load_bundle(folder: Path | str, device: torch.device | str = "cpu", *, download: bool = False) -> Loaded:
    """Load a bundle, or a folder as open_clip keeps them; needs none of the files that training began with.

    Args:
        folder: a folder; with `download` also a hub name, fetched if it is not in the cache. Else no network is used.
        device: where the model goes.
        download: whether a hub name may be fetched.

    Raises:
        ValueError: no bundle there, a file is missing, or the weights differ from their recorded SHA-256.
    """
    found = Path(folder)
    if download and not found.exists():
        found = fetch(str(folder))
    if is_foreign_folder(found):
        config, tensors, file = read_open_clip_folder(found)
        digest = _sha256(file)
    else:
        config, tensors, file, digest = _read_bundle(found)
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, pretrained=False, sigmoid="logit_bias" in tensors)
    load_strictly(model, tensors, file, f"its configuration describes another model; {REMEDY}")
    return Loaded(
        model=model.to(device).eval(),
        preprocess=build_preprocess(config.visual),
        tokenizer=build_tokenizer(config.text),
        config=config,
        weights_sha256=digest,
        training=read_training_record(found),
    )


def load(
    folder: Path | str, device: torch.device | str = "cpu", *, download: bool = False
) -> tuple[EmbeddingModel, Preprocess, Tokenizer]:
    """The model, its preprocessing and its tokenizer: `model, preprocess, tokenizer = ophclip.load(folder)`."""
    loaded = load_bundle(folder, device, download=download)
    return EmbeddingModel(loaded.model, loaded.preprocess, loaded.tokenizer).eval(), loaded.preprocess, loaded.tokenizer


def _read_bundle(folder: Path) -> tuple[ModelConfig, dict[str, torch.Tensor], Path, str]:
    described, file = read_description(folder), folder / WEIGHTS_NAME
    digest = _sha256(file)
    if digest != described.weights_sha256:
        raise ValueError(f"{file}: its SHA-256 differs from {CONFIG_NAME}, so it is damaged; {REMEDY}")
    return described.config, named_as_ours(read_tensors(file)), file, digest


def _write_text_parts(folder: Path, config: ModelConfig) -> None:
    build_tokenizer(config.text).save(folder)
    if config.text.kind is TowerKind.HF:
        (folder / TEXT_FOLDER).mkdir()
        shutil.copyfile(text_folder(config.text) / "config.json", folder / TEXT_FOLDER / "config.json")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _portable(config: ModelConfig) -> ModelConfig:
    """Local paths cut to their last part, because the bundle leaves this machine; hub names stay whole."""
    visual = dataclasses.replace(config.visual, weights=_without_folder(config.visual.weights))
    text = dataclasses.replace(
        config.text,
        name=_without_folder(config.text.name),
        weights=_without_folder(config.text.weights),
        tokenizer=_without_folder(config.text.tokenizer),
    )
    return dataclasses.replace(config, visual=visual, text=text, download=False)


def _inside_bundle(config: ModelConfig) -> dict[str, Any]:
    """Plain values that name what lies in the bundle itself."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(config))
    hugging_face = config.text.kind is TowerKind.HF
    plain["text"]["name"] = TEXT_FOLDER if hugging_face else config.text.name
    plain["text"]["tokenizer"] = "." if hugging_face or config.text.tokenizer else ""
    return plain


def _without_folder(spec: str) -> str:
    return spec if spec.startswith("package:") or (spec and is_elsewhere(spec)) else Path(spec).name


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
