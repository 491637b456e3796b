"""Files of weights as tensors: read as data, renamed where a publisher named them otherwise.

Needs torch; `ingest.weights` finds the files without it.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

UNREADABLE = (
    *(OSError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError, zipfile.BadZipFile),
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError),
)
"""What torch and safetensors raise on a damaged file: the unpickler trusts that what it is told is possible."""
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_LITE_STEM_AND_HEAD = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_LITE_KEY = re.compile(r"_blocks\.(?P<block>\d+)\.(?P<part>\w+)\.(?P<leaf>\w+)")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a `.safetensors`, `.pth`, `.pt` or `.bin` file, on the CPU; nothing in the file is executed.

    Raises:
        ValueError: the file cannot be read, or holds something other than tensors, or would have to be executed.
    """
    if _is_torch_script(path):
        raise ValueError(
            f"{path}: a TorchScript archive, which can only be read by running what is in it; "
            "take the same weights as safetensors (docs/method.md says where OpenAI's are)"
        )
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        read = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"{path}: cannot be read as weights ({first}); expected tensors in .safetensors or .pth"
        ) from error
    for name in _WRAPPERS:
        if isinstance(read, Mapping) and isinstance(read.get(name), Mapping):
            read = read[name]
    if not isinstance(read, Mapping) or not all(isinstance(value, Tensor) for value in read.values()):
        raise ValueError(f"{path}: holds no table of tensors; expected a state dict")
    return {str(name).removeprefix("module."): value for name, value in read.items()}


def _is_torch_script(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path) and any(
            name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()
        )
    except zipfile.BadZipFile:
        return False  # `torch.load` will say what is wrong with it


def efficientnet_lite_to_timm(tensors: Mapping[str, Tensor], trunk: nn.Module) -> dict[str, Tensor]:
    """Rename the published EfficientNet-Lite tensors to timm's `tf_efficientnet_lite*` names.

    Raises:
        ValueError: a name that is none of EfficientNet-Lite's.
    """
    stages = trunk.get_submodule("blocks")
    flat = [f"{stage}.{block}" for stage, blocks in stages.named_children() for block, _ in blocks.named_children()]
    return {_lite_name(name, flat): value for name, value in tensors.items()}


def _lite_name(name: str, flat_blocks: list[str]) -> str:
    block = _LITE_KEY.fullmatch(name)
    if block is None:
        part, _, leaf = name.partition(".")
        if part not in _LITE_STEM_AND_HEAD:
            raise ValueError(f"weights: {name} is no tensor of EfficientNet-Lite")
        return f"{_LITE_STEM_AND_HEAD[part]}.{leaf}"
    number = int(block["block"])
    parts = _LITE_FIRST_BLOCK if number == 0 else _LITE_BLOCK
    if number >= len(flat_blocks) or block["part"] not in parts:
        raise ValueError(f"weights: {name} is no tensor of this EfficientNet-Lite")
    return f"blocks.{flat_blocks[number]}.{parts[block['part']]}.{block['leaf']}"
