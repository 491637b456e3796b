"""What a bundle folder says of itself, read without torch: commands look at it before they load anything heavy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ingest.parsing import parse_json
from ophclip.composing import typed
from ophclip.data.files import TOKENIZER_CONFIG_NAME, TOKENIZER_NAME
from ophclip.model_options import ModelConfig, TowerKind
from ophclip.models.training_record import RECORD_NAME

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
CARD_NAME = "README.md"
TEXT_FOLDER = "text"
FORMAT_VERSION = 2
OPEN_CLIP_CONFIG_NAME = "open_clip_config.json"
OPEN_CLIP_PREFIX = "open_clip:"
"""Before the name of a model that open_clip itself builds."""
LOCAL_FOLDER = "local-dir:"
"""What open_clip writes before a folder in place of a name."""
_MADE_HERE = '"made_by": "ophclip"'
_OWN_NAMES = {
    WEIGHTS_NAME,
    CONFIG_NAME,
    CARD_NAME,
    RECORD_NAME,
    TEXT_FOLDER,
    TOKENIZER_NAME,
    TOKENIZER_CONFIG_NAME,
    OPEN_CLIP_CONFIG_NAME,
}
REMEDY = "copy the bundle anew or write it with `ophclip bundle`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """The architecture of a bundle, and which weights it holds by its own account."""

    config: ModelConfig
    """`text.name` is the folder inside the bundle where the text tower is Hugging Face's."""
    weights_sha256: str


def read_description(folder: Path) -> Description:
    """Read `config.json` and see that weights lie beside it; whether they are the right ones is for `load_bundle`.

    Raises:
        ValueError: no bundle there, a file is missing, or another version wrote it.
    """
    if is_foreign_folder(folder):
        from ophclip.models.open_clip_folder import describe_open_clip_folder

        config, weights_sha256 = describe_open_clip_folder(folder)
        return Description(config=config, weights_sha256=weights_sha256)
    described = _read_config(folder)
    config = _model_config(described["model"], folder)
    if not (folder / WEIGHTS_NAME).is_file():
        raise ValueError(f"{folder / WEIGHTS_NAME}: missing; {REMEDY}")
    return Description(config=config, weights_sha256=str(described["weights_sha256"]))


def open_clip_parts(spec: str) -> tuple[str, Path]:
    """What open_clip calls the model of `open_clip:NAME,FILE` or `open_clip:FOLDER`, and where its weights lie.

    Raises:
        ValueError: it is neither, or nothing lies there.
    """
    name, comma, given = spec.removeprefix(OPEN_CLIP_PREFIX).partition(",")
    if not comma and (Path(name) / OPEN_CLIP_CONFIG_NAME).is_file():
        folder = Path(name).resolve()
        return f"{LOCAL_FOLDER}{folder}", folder
    if not comma or not Path(given).exists():
        raise ValueError(
            f"{spec}: expected {OPEN_CLIP_PREFIX}NAME,FILE with weights that are there, or a folder with "
            f"{OPEN_CLIP_CONFIG_NAME}"
        )
    return name, Path(given)


def is_foreign_folder(folder: Path) -> bool:
    """Whether `folder` is one of open_clip's and not a bundle of ours that open_clip opens too."""
    path = folder / OPEN_CLIP_CONFIG_NAME
    return path.is_file() and _MADE_HERE not in path.read_text(encoding="utf-8")


def refuse_other_content(folder: Path) -> None:
    """Only an empty folder or a bundle with nothing beside its own files may be replaced.

    Raises:
        ValueError: `folder` exists and is something other than a bundle.
    """
    if not folder.exists():
        return
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    strange = sorted(found - _OWN_NAMES)
    if strange or not folder.is_dir():
        held = (strange or [folder.name])[0]
        raise ValueError(f"{folder}: exists and is no bundle (there is {held}); give another folder")
    if found:
        _read_config(folder)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_NAME
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: no such folder; expected a bundle (training writes OUT/bundle); a hub name needs download"
        )
    if not path.is_file():
        raise ValueError(f"{folder}: no {CONFIG_NAME} here, so this is no bundle; training writes one to OUT/bundle")
    try:
        described: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON ({error}); {REMEDY}") from error
    if not isinstance(described, dict) or described.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"{path}: expected format_version {FORMAT_VERSION}; {REMEDY}")
    if not isinstance(described.get("model"), dict) or "weights_sha256" not in described:
        raise ValueError(f"{path}: expected the fields model and weights_sha256; {REMEDY}")
    return described


def _model_config(described: dict[str, Any], folder: Path) -> ModelConfig:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(ModelConfig), described)
        config = typed(merged, ModelConfig)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{folder / CONFIG_NAME}: {reason}; this bundle was written by another version of ophclip"
        ) from error
    if config.text.kind is TowerKind.HF:
        config.text = dataclasses.replace(config.text, name=str(folder / TEXT_FOLDER))
    if config.text.tokenizer:
        config.text = dataclasses.replace(config.text, tokenizer=str(folder))
    return config
