"""Folders as open_clip keeps them on the Hugging Face hub: ours described for open_clip, and open_clip's read as ours.

A folder is `open_clip_config.json` (architecture and preprocessing) beside one file of tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIPTextCfg, CLIPVisionCfg, convert_to_custom_text_state_dict
from torch import Tensor

from ingest.parsing import parse_json
from ingest.shards import sha256_of
from ingest.tensors import read_tensors
from ophclip.data.hub import is_elsewhere
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, TowerKind, VisualConfig
from ophclip.models.architectures import OWN, architecture
from ophclip.models.description import OPEN_CLIP_CONFIG_NAME
from ophclip.models.dual_encoder import SIGMOID_BIAS
from ophclip.models.towers import POOLERS
from ophclip.models.weights import weights_file

_PREFIXES = {"visual.network.": "visual.", "text.network.": "text.", "log_logit_scale": "logit_scale"}
"""How our tensors begin, and how open_clip's do."""
_NO_TENSORS_OF_OURS = ("attn_mask", "text.attn_mask", "text.transformer.embeddings.position_ids")


def described_for_open_clip(config: ModelConfig, *, sigmoid: bool) -> dict[str, Any] | None:
    """The content of `open_clip_config.json`, None where open_clip could not build the same model.

    It knows no pooling over frames and none over the last four layers of a text tower, has one activation for both
    towers, and finds a Hugging Face tower by its hub name only.
    """
    vision, quick = _vision_cfg(config.visual)
    text, quick_text = _text_cfg(config.text)
    differ = None not in (quick, quick_text) and quick != quick_text
    if text is None or config.pooling is not FramePooling.MEAN or differ:
        return None
    model = {"embed_dim": config.embed_dim, "custom_text": True, "vision_cfg": vision, "text_cfg": text}
    if quick or quick_text:
        model["quick_gelu"] = True
    if sigmoid:
        model["init_logit_bias"] = SIGMOID_BIAS
    preprocess = {
        "mean": list(config.visual.mean),
        "std": list(config.visual.std),
        "interpolation": "bilinear",
        "resize_mode": "shortest",
    }
    return {"model_cfg": model, "preprocess_cfg": preprocess, "made_by": "ophclip"}


def named_for_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under open_clip's names; those of a pooling keep theirs."""
    return {_swapped(name, _PREFIXES): value for name, value in tensors.items()}


def named_as_ours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's tensors, of either of its two forms, under our names; what is none of a tower's is left out."""
    ours = {theirs: own for own, theirs in _PREFIXES.items()}
    custom: dict[str, Tensor] = convert_to_custom_text_state_dict(dict(tensors))
    named = {_swapped(name, ours): value for name, value in custom.items() if name not in _NO_TENSORS_OF_OURS}
    for name in {"log_logit_scale", "logit_bias"} & named.keys():
        named[name] = named[name].reshape(())
    return named


def read_open_clip_folder(folder: Path) -> tuple[ModelConfig, dict[str, Tensor], Path]:
    """What stands in a folder of open_clip's: its configuration as ours, its tensors under our names, and their file.

    Raises:
        ValueError: it cannot be read, or is of an architecture that is not built here; names the file.
    """
    config, file = _read_config(folder), weights_file(folder)
    return config, named_as_ours(read_tensors(file)), file


def describe_open_clip_folder(folder: Path) -> tuple[ModelConfig, str]:
    """Its configuration as ours, and the SHA-256 of its weights.

    Raises:
        ValueError: as `read_open_clip_folder`.
    """
    return _read_config(folder), sha256_of(weights_file(folder))


def _read_config(folder: Path) -> ModelConfig:
    path = folder / OPEN_CLIP_CONFIG_NAME
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        return _config(content["model_cfg"], content.get("preprocess_cfg", {}), folder)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not as open_clip writes it ({error!r}); copy the folder anew") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _swapped(name: str, prefixes: Mapping[str, str]) -> str:
    begins = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
    return prefixes.get(begins, "") + name.removeprefix(begins)


def _vision_cfg(config: VisualConfig) -> tuple[dict[str, Any], bool | None]:
    """The visual half, and whether it has QuickGELU (None: the question does not arise)."""
    if config.kind is TowerKind.TIMM:
        timm = {"timm_model_name": config.name, "timm_pool": "avg", "timm_proj": "linear"}
        return {"image_size": config.image_size_px, **timm}, None
    described = architecture(config.name, "model.visual.name")
    vision = {**described["vision_cfg"], "image_size": config.image_size_px}
    asked = "timm_model_name" not in vision
    return vision, described.get("quick_gelu", False) if asked else None


def _text_cfg(config: TextConfig) -> tuple[dict[str, Any] | None, bool | None]:
    if config.kind is not TowerKind.HF:
        described = architecture(config.name, "model.text.name")
        return {**described["text_cfg"], "context_length": config.context_length}, described.get("quick_gelu", False)
    if config.pooling not in POOLERS or not is_elsewhere(config.name):
        return None, None
    names = {"hf_model_name": config.name, "hf_tokenizer_name": config.name}
    built = {"hf_proj_type": "linear", "hf_pooler_type": POOLERS[config.pooling]}
    return {**names, **built, "context_length": config.context_length}, None


def _config(model: Mapping[str, Any], preprocess: Mapping[str, Any], folder: Path) -> ModelConfig:
    vision, text, quick = model["vision_cfg"], model["text_cfg"], model.get("quick_gelu", False)
    visual_names = _names("vision_cfg", _comparable_vision(vision), quick)
    text_names = _names("text_cfg", _comparable_text(text), quick)
    both = [name for name in visual_names if name in text_names]
    mean, std = preprocess.get("mean", OPENAI_DATASET_MEAN), preprocess.get("std", OPENAI_DATASET_STD)
    side_px = vision.get("image_size", 224)
    if not isinstance(side_px, int):
        raise ValueError(f"pictures of {side_px} pixels; only square ones are known here")
    kind, name = _visual_name(vision, (both or visual_names))
    visual = VisualConfig(kind=kind, name=name, image_size_px=side_px, mean=tuple(mean), std=tuple(std))
    return ModelConfig(
        name=folder.resolve().name,
        embed_dim=model["embed_dim"],
        visual=visual,
        text=_text_config(text, (both or text_names), folder),
    )


def _visual_name(vision: Mapping[str, Any], names: list[str]) -> tuple[TowerKind, str]:
    if names:
        return TowerKind.OPEN_CLIP, names[0]
    plain = _comparable_vision({"timm_model_name": vision.get("timm_model_name")})
    if plain.timm_model_name is None or _comparable_vision(vision) != plain:
        raise ValueError("its vision_cfg is that of no architecture known here")
    return TowerKind.TIMM, plain.timm_model_name


def _text_config(text: Mapping[str, Any], names: list[str], folder: Path) -> TextConfig:
    length = text.get("context_length", 77)
    if "hf_model_name" not in text:
        if not names:
            raise ValueError("its text_cfg is that of no architecture known here")
        tokenizer = str(folder) if "hf_tokenizer_name" in text else ""
        return TextConfig(name=names[0], context_length=length, tokenizer=tokenizer)
    poolings = {theirs: ours for ours, theirs in POOLERS.items()}
    pooler = text.get("hf_pooler_type", "mean_pooler")
    if text.get("hf_proj_type", "mlp") != "linear" or pooler not in poolings:
        raise ValueError("its text tower has another projection or pooler than those known here")
    return TextConfig(
        kind=TowerKind.HF, name=text["hf_model_name"], context_length=length, pooling=poolings[pooler],
        tokenizer=str(folder),
    )  # fmt: skip


def _names(half: str, wanted: object, quick_gelu: bool) -> list[str]:
    """Architectures that have this half."""
    comparable = _comparable_vision if half == "vision_cfg" else _comparable_text
    described = {name: architecture(name, half) for name in (*OWN, *open_clip.list_models())}
    return [
        name
        for name, one in described.items()
        if one.get("quick_gelu", False) == quick_gelu and comparable(one[half]) == wanted
    ]


def _comparable_vision(described: Mapping[str, Any]) -> Any:
    """All its options, defaults filled in, but for those that are given apart."""
    options = CLIPVisionCfg(**described)
    layers = options.layers if isinstance(options.layers, int) else tuple(options.layers)
    return replace(options, layers=layers, image_size=0, patch_dropout=0.0, timm_model_pretrained=False)


def _comparable_text(described: Mapping[str, Any]) -> Any:
    return replace(CLIPTextCfg(**described), context_length=0, hf_model_pretrained=False)
