"""One folder that carries a trained dual encoder anywhere: weights, configuration, tokenizer, preprocessing, card.

BUNDLE/model.safetensors   every tensor        BUNDLE/config.json   ModelConfig, SHA-256 of the weights, version
BUNDLE/text/               config and tokenizer of a Hugging Face text tower        BUNDLE/README.md   the card
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ophclip.config import ModelConfig, TowerKind
from ophclip.data.files import text_folder
from ophclip.data.tokenizer import Tokenizer, build_tokenizer
from ophclip.models.description import (
    CARD_NAME,
    CONFIG_NAME,
    FORMAT_VERSION,
    REMEDY,
    TEXT_FOLDER,
    WEIGHTS_NAME,
    read_description,
    refuse_other_content,
)
from ophclip.models.dual_encoder import DualEncoder, build_model
from ophclip.models.preprocess import Preprocess, build_preprocess
from ophclip.models.weights import read_tensors


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What a bundle holds, ready to use: the model is in evaluation."""

    model: DualEncoder
    preprocess: Preprocess
    tokenizer: Tokenizer
    config: ModelConfig
    """`text.name` is the folder inside the bundle where the text tower is Hugging Face's."""
    weights_sha256: str


def save_bundle(folder: Path, model: DualEncoder, config: ModelConfig, card: Mapping[str, object]) -> str:
    """Write the bundle, replacing one that stands there whole; returns the SHA-256 of its weights.

    Raises:
        ValueError: `folder` exists and is something other than a bundle.
    """
    refuse_other_content(folder)
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(tensors, draft / WEIGHTS_NAME, metadata={"format": "pt"})
    digest = _sha256(draft / WEIGHTS_NAME)
    _write_text_folder(draft, config)
    described = {"format_version": FORMAT_VERSION, "weights_sha256": digest, "model": _portable(config)}
    (draft / CONFIG_NAME).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    (draft / CARD_NAME).write_text(_card_text(config, card, digest), encoding="utf-8")
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


def load_bundle(folder: Path | str, device: torch.device | str = "cpu") -> Loaded:
    """Load a bundle; needs no network and none of the files that training began with.

    Raises:
        ValueError: no bundle there, a file is missing, or the weights differ from their recorded SHA-256.
    """
    folder = Path(folder)
    described = read_description(folder)
    config = described.config
    digest = _sha256(folder / WEIGHTS_NAME)
    if digest != described.weights_sha256:
        raise ValueError(f"{folder / WEIGHTS_NAME}: its SHA-256 differs from {CONFIG_NAME}, so it is damaged; {REMEDY}")
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, pretrained=False)
    try:
        model.load_state_dict(read_tensors(folder / WEIGHTS_NAME), strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"{folder / CONFIG_NAME}: describes another model than the weights beside it; {REMEDY}"
        ) from error
    return Loaded(
        model=model.to(device).eval(),
        preprocess=build_preprocess(config.visual),
        tokenizer=build_tokenizer(config.text),
        config=config,
        weights_sha256=digest,
    )


def load(folder: Path | str, device: torch.device | str = "cpu") -> tuple[DualEncoder, Preprocess, Tokenizer]:
    """The model, its preprocessing and its tokenizer: `model, preprocess, tokenizer = ophclip.load(folder)`."""
    loaded = load_bundle(folder, device)
    return loaded.model, loaded.preprocess, loaded.tokenizer


def _write_text_folder(folder: Path, config: ModelConfig) -> None:
    if config.text.kind is not TowerKind.HF:
        return
    target = folder / TEXT_FOLDER
    target.mkdir()
    shutil.copyfile(text_folder(config.text) / "config.json", target / "config.json")
    build_tokenizer(config.text).save(target)


def _portable(config: ModelConfig) -> dict[str, Any]:
    """Plain values; local paths are cut to their last part, because the bundle leaves this machine."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(config))
    plain["visual"]["weights"] = _without_folder(config.visual.weights)
    plain["text"]["weights"] = _without_folder(config.text.weights)
    plain["text"]["name"] = TEXT_FOLDER if config.text.kind is TowerKind.HF else config.text.name
    return plain


def _without_folder(spec: str) -> str:
    return spec if spec.startswith("package:") else Path(spec).name


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _card_text(config: ModelConfig, card: Mapping[str, object], digest: str) -> str:
    text_name = _without_folder(config.text.name)
    rows = {
        "visual tower": f"{config.visual.name} ({config.visual.kind.value}), {config.visual.image_size_px} px",
        "text tower": f"{text_name} ({config.text.kind.value}), {config.text.context_length} tokens",
        "common space": f"{config.embed_dim} dimensions",
        "weights SHA-256": f"`{digest}`",
        **card,
    }
    table = "\n".join(f"| {name} | {' '.join(str(value).split())} |" for name, value in rows.items())
    usage = '```python\nimport ophclip\n\nmodel, preprocess, tokenizer = ophclip.load("THIS FOLDER")\n```'
    lead = f"# {config.name}\n\nA dual encoder for surgical video, made by ophclip."
    return f"{lead}\n\n| | |\n|---|---|\n{table}\n\n{usage}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
