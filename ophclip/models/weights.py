"""Released weights into towers: read as data, renamed where a publisher named them otherwise, loaded strictly."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.timm_model import TimmModel
from open_clip.transformer import QuickGELU
from safetensors import SafetensorError
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn
from torch.nn import functional as F

from ingest.parsing import parse_json
from ingest.tensors import efficientnet_lite_to_timm, read_tensors
from ophclip.models.description import OPEN_CLIP_CONFIG_NAME

_NAMES_IN_FOLDERS = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
_VISUAL_PROJECTIONS = (
    "proj",
    "attnpool.c_proj.weight",
    "attnpool.c_proj.bias",
    "head.proj.weight",
    "head.proj.bias",
)
_TEXT_PROJECTIONS = ("text_projection", "text_projection.weight", "text_projection.bias")
_MARK_OF_OPENAI = "input_resolution"
_SURGVLP_NAMES = {
    "backbone_img.model.": "visual.trunk.",
    "backbone_img.global_embedder.": "visual.head.proj.",
    "backbone_text.model.": "text.transformer.",
}
_UNUSED_OF_BERT = ("transformer.pooler.", "transformer.embeddings.position_ids")


def weights_file(path: Path) -> Path:
    """The weights that `path` means: itself, or those in a folder as published on the hub, safetensors first.

    Raises:
        ValueError: a folder without weights.
    """
    if not path.is_dir():
        return path
    for name in _NAMES_IN_FOLDERS:
        if (path / name).is_file():
            return path / name
    raise ValueError(f"{path}: no weights in this folder; expected one of {', '.join(_NAMES_IN_FOLDERS)}")


def load_visual(network: nn.Module, path: Path) -> None:
    """Load a file, or the weights of a folder, into a visual tower whose projection may be new.

    Raises:
        ValueError: a key, a shape or the activation differs.
    """
    file = weights_file(path)
    tensors = _renamed(read_tensors(file))
    own = _half(tensors, "visual.")
    if isinstance(network, TimmModel):
        if not any(name.startswith("trunk.") for name in own):
            published = _timm_tensors(tensors, network.trunk)
            _resize_timm_positions(published, "pos_embed", network.trunk)
            load_strictly(network.trunk, published, file)
            return
        _resize_timm_positions(own, "trunk.pos_embed", network.trunk)
    else:
        refuse_other_activation(network, tensors, path)
    if isinstance(own.get("positional_embedding"), Tensor) and hasattr(network, "grid_size"):
        own["positional_embedding"] = _resized_positions(own["positional_embedding"], network)
    load_strictly(network, _with_own_projection(own, network, _VISUAL_PROJECTIONS), file)


def load_text(network: nn.Module, path: Path) -> None:
    """Load the text half of a CLIP checkpoint into an open_clip text tower whose projection and context may differ.

    Raises:
        ValueError: a key, a shape or the activation differs.
    """
    file = weights_file(path)
    tensors = read_tensors(file)
    refuse_other_activation(network, tensors, path)
    own = _half(convert_to_custom_text_state_dict(tensors), "text.")
    wanted = network.state_dict()["positional_embedding"].shape[0]
    if "positional_embedding" in own:
        own["positional_embedding"] = own["positional_embedding"][:wanted]
    own.pop("attn_mask", None)
    load_strictly(network, _with_own_projection(own, network, _TEXT_PROJECTIONS), file)


def load_hugging_face_half(network: nn.Module, path: Path) -> None:
    """Load the text half of a checkpoint whose text tower is a Hugging Face one: open_clip's form or SurgVLP's.

    Raises:
        ValueError: a key or a shape differs.
    """
    file = weights_file(path)
    own = _half(_renamed(read_tensors(file)), "text.")
    own = {name: value for name, value in own.items() if not name.startswith(_UNUSED_OF_BERT)}
    load_strictly(network, _with_own_projection(own, network, ("proj.weight",)), file)


def load_hugging_face(transformer: nn.Module, folder: Path) -> None:
    """Load the tensors of a Hugging Face folder into its transformer; a head that comes with them is left aside.

    Raises:
        ValueError: the folder's weights cannot be read, or lack a tensor.
    """
    from transformers import AutoModel

    try:
        with _transformers_quiet():
            loaded, report = AutoModel.from_pretrained(
                folder,
                add_pooling_layer=False,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{folder}: its weights cannot be read ({first}); copy the folder anew") from error
    if report["missing_keys"]:
        lacking = sorted(report["missing_keys"])
        raise ValueError(f"{folder}: its weights lack {lacking[0]} ({len(lacking)} in all); copy the folder anew")
    transformer.load_state_dict(loaded.state_dict(), strict=True)


@contextmanager
def _transformers_quiet() -> Iterator[None]:
    """Its report of heads left aside and its bar belong to the caller's log only when something is wrong."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    verbosity, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bar:
            logging.enable_progress_bar()


def _timm_tensors(tensors: dict[str, Tensor], trunk: nn.Module) -> dict[str, Tensor]:
    if "_conv_stem.weight" in tensors:
        tensors = efficientnet_lite_to_timm(tensors, trunk)
    head = getattr(trunk, "default_cfg", {}).get("classifier", ())
    heads = (head,) if isinstance(head, str) else tuple(head)
    return {name: value for name, value in tensors.items() if not name.startswith(tuple(f"{one}." for one in heads))}


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """SurgVLP's and PeskaVLP's names as open_clip's; other tensors as they are."""
    if not any(name.startswith(tuple(_SURGVLP_NAMES)) for name in tensors):
        return tensors
    renamed = {}
    for name, value in tensors.items():
        theirs = next((prefix for prefix in _SURGVLP_NAMES if name.startswith(prefix)), "")
        renamed[_SURGVLP_NAMES.get(theirs, "") + name.removeprefix(theirs)] = value
    return renamed


def refuse_other_activation(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Weights look the same whether trained with GELU or with OpenAI's QuickGELU, and are of no use with the other."""
    own = {type(module) for module in network.modules()} & {nn.GELU, QuickGELU}
    quick: bool | None = True if _MARK_OF_OPENAI in tensors else None
    described = path / OPEN_CLIP_CONFIG_NAME
    if described.is_file():
        quick = bool(parse_json(described.read_text(encoding="utf-8")).get("model_cfg", {}).get("quick_gelu", False))
    if quick is not None and own and (QuickGELU in own) != quick:
        wanted = "an architecture whose name ends in -quickgelu" if quick else "one without -quickgelu"
        raise ValueError(f"{path}: was trained with {'QuickGELU' if quick else 'GELU'}; check model.*.name: {wanted}")


def _half(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return own or dict(tensors)


def _with_own_projection(tensors: dict[str, Tensor], network: nn.Module, names: tuple[str, ...]) -> dict[str, Tensor]:
    """A projection into a space of another width is left as it starts."""
    present = network.state_dict()
    for name in names:
        if name in present and (name not in tensors or tensors[name].shape != present[name].shape):
            tensors[name] = present[name]
    return tensors


def _resized_positions(positions_nd: Tensor, network: nn.Module) -> Tensor:
    grid_size = network.grid_size
    height, width = (int(side) for side in grid_size)  # type: ignore[union-attr]
    if positions_nd.shape[0] == height * width + 1:
        return positions_nd
    first, grid = positions_nd[:1], positions_nd[1:]
    side = math.isqrt(grid.shape[0])
    grid_1dhw = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid_1dhw, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([first, resized.permute(0, 2, 3, 1).reshape(height * width, -1)])


def _resize_timm_positions(tensors: dict[str, Tensor], name: str, trunk: Any) -> None:
    if name in tensors and tensors[name].shape != trunk.pos_embed.shape:
        tensors[name] = resample_abs_pos_embed(
            tensors[name],
            trunk.patch_embed.grid_size,
            num_prefix_tokens=0 if trunk.no_embed_class else trunk.num_prefix_tokens,
        )


def load_strictly(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, remedy: str = "check model.*.name and image_size_px"
) -> None:
    """Load `tensors`, read from `path`, into a network that has exactly these.

    Raises:
        ValueError: the first tensor that is missing, surplus or of another shape.
    """
    wanted = network.state_dict()
    missing, extra = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or extra:
        example = f"lacks {missing[0]}" if missing else f"has {extra[0]}, which the tower has not"
        counts = f"{len(missing)} missing, {len(extra)} surplus"
        raise ValueError(f"{path}: does not fit the towers ({counts}; {example}); {remedy}")
    for name, value in wanted.items():
        if value.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
            raise ValueError(f"{path}: {name} has shape {shapes}; {remedy}")
    network.load_state_dict(dict(tensors), strict=True)
