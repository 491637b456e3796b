"""The two towers, built by open_clip's own builders, with leading blocks that stay exactly as loaded.

Shapes: B pictures or texts, S the side of a picture, L tokens, D the width of the common space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.model import _build_text_tower, _build_vision_tower
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import TextTransformer, VisionTransformer
from timm.models import group_parameters
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import AutoConfig

from ophclip.data.files import text_folder
from ophclip.data.hub import model_path
from ophclip.model_options import TextConfig, TextPooling, TowerKind, VisualConfig
from ophclip.models.architectures import architecture
from ophclip.models.recomputing import STAGES, recompute_activations
from ophclip.models.weights import load_hugging_face, load_hugging_face_half, load_text, load_visual

_PROJECTIONS = ("head.", "proj", "attnpool.c_proj.", "text_projection")
_HUGGING_FACE_TYPES = ("bert", "roberta", "xlm-roberta")
POOLERS = {TextPooling.MEAN: "mean_pooler", TextPooling.CLS: "cls_last_hidden_state_pooler"}
"""The poolings of text that open_clip has too, by its names."""
_PARTS: dict[type[nn.Module], tuple[tuple[str, ...], str | None]] = {
    VisionTransformer: (("class_embedding", "positional_embedding", "conv1.", "ln_pre."), "transformer.resblocks"),
    TextTransformer: (("token_embedding.", "positional_embedding", "cls_emb"), "transformer.resblocks"),
    ModifiedResNet: (("conv1.", "bn1.", "conv2.", "bn2.", "conv3.", "bn3."), None),
    HFTextEncoder: (("transformer.embeddings.",), "transformer.encoder.layer"),
}
"""Parameters before the first block, and where the blocks are (None: torchvision's layer1 to layer4)."""


class LastFourPooler(nn.Module):
    """The mean over tokens of the mean of the last four layers: by direction the ancestors' sum over words."""

    def forward(self, outputs: Any, mask_bl: Tensor) -> Tensor:
        """Hidden states of all layers, [B, L, H] each, and where tokens stand [B, L] -> [B, H]."""
        states_blh = torch.stack(outputs.hidden_states[-4:]).mean(dim=0) * mask_bl.unsqueeze(-1)
        return states_blh.sum(dim=1) / mask_bl.sum(dim=1, keepdim=True)


class Tower(nn.Module):
    """A network whose leading blocks are frozen: no gradient, no dropout, batch norm with its loaded statistics.

    A graph is built only behind the frozen part, so its backward pass costs nothing.
    """

    def __init__(self, network: nn.Module, *, frozen_blocks: int, frozen_batch_norm: bool, option: str) -> None:
        super().__init__()
        self.network = network
        for name in _frozen_names(network, frozen_blocks, option):
            network.get_parameter(name).requires_grad_(False)
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
        self._kept_in_eval = (*_wholly_frozen(network), *(norms if frozen_batch_norm else ()))
        # Lightning leaves the mode as it finds it: what is frozen must be so before anybody asks for training.
        self.train()

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, 3, S, S] pictures or [B, L] token ids -> [B, D], not normalised."""
        vectors_bd: Tensor = self.network(inputs)
        return vectors_bd

    def train(self, mode: bool = True) -> Tower:
        """Switch to training, except for what is frozen."""
        super().train(mode)
        for module in self._kept_in_eval:
            module.eval()
        return self

    def blocks(self) -> list[list[nn.Parameter]]:
        """Parameters of each block from the bottom up; the stem or the embeddings are with the first.

        Raises:
            ValueError: the blocks of this network are not known.
        """
        return [[self.network.get_parameter(name) for name in names] for names in _blocks(self.network)]

    def loaded_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters below the projection: those that released weights fill."""
        return (p for name, p in self.network.named_parameters() if not name.startswith(_PROJECTIONS))

    def projection_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the projection into the common space: new with most released weights."""
        return (p for name, p in self.network.named_parameters() if name.startswith(_PROJECTIONS))


def build_visual_tower(config: VisualConfig, embed_dim: int, *, pretrained: bool = True) -> Tower:
    """The visual tower; `pretrained` reads `config.weights` if it names a file.

    Raises:
        ValueError: unknown architecture, missing or unfit weights, more frozen blocks than there are.
    """
    network = _visual_network(config, embed_dim)
    if pretrained and config.weights:
        load_visual(network, model_path(config.weights, "model.visual.weights"))
    if isinstance(network, TimmModel | ModifiedResNet):
        network.to(memory_format=torch.channels_last)
    if config.gradient_checkpointing:
        recompute_activations(network, frozen_batch_norm=config.frozen_batch_norm)
    return Tower(
        network,
        frozen_blocks=config.frozen_blocks,
        frozen_batch_norm=config.frozen_batch_norm,
        option="model.visual.frozen_blocks",
    )


def build_text_tower(config: TextConfig, embed_dim: int, *, pretrained: bool = True) -> Tower:
    """The text tower; `pretrained` reads the folder's or `config.weights`' tensors if `config.weights` asks for them.

    Raises:
        ValueError: unknown architecture or folder, missing or unfit weights, more frozen blocks than there are.
    """
    if config.kind is TowerKind.HF:
        network = _hugging_face_network(config, embed_dim, pretrained=pretrained)
    else:
        network = _clip_text_network(config, embed_dim)
        if pretrained and config.weights:
            load_text(network, model_path(config.weights, "model.text.weights"))
    return Tower(
        network, frozen_blocks=config.frozen_blocks, frozen_batch_norm=False, option="model.text.frozen_blocks"
    )


def _visual_network(config: VisualConfig, embed_dim: int) -> nn.Module:
    try:
        network = (
            _timm_network(config, embed_dim) if config.kind is TowerKind.TIMM else _clip_network(config, embed_dim)
        )
        patchless = isinstance(network, ModifiedResNet)
    except TypeError:  # how timm's convolutional networks refuse the option
        if not config.patch_dropout:
            raise
        patchless = True
    if config.patch_dropout and patchless:
        raise ValueError(f"model.visual.patch_dropout: {config.name} has no patches to leave out; set it to 0")
    if isinstance(network, TimmModel):
        _fit(network, config, embed_dim)
    return network


def _timm_network(config: VisualConfig, embed_dim: int) -> nn.Module:
    import timm

    if not timm.is_model(config.name):
        raise ValueError(
            f"model.visual.name: timm has no {config.name}; `timm.list_models('*NAME*')` lists what it has"
        )
    network: nn.Module = TimmModel(
        config.name, embed_dim, image_size=config.image_size_px, patch_drop=config.patch_dropout or None
    )
    return network


def _clip_network(config: VisualConfig, embed_dim: int) -> nn.Module:
    described = architecture(config.name, "model.visual.name")
    asked = {"image_size": config.image_size_px, "patch_dropout": config.patch_dropout, "timm_model_pretrained": False}
    network: nn.Module = _build_vision_tower(
        embed_dim, {**described["vision_cfg"], **asked}, quick_gelu=described.get("quick_gelu", False)
    )
    return network


def _fit(network: TimmModel, config: VisualConfig, embed_dim: int) -> None:
    """open_clip tells a timm network neither the size of its pictures nor, without a projection, its width."""
    trunk, size_px = network.trunk, (config.image_size_px, config.image_size_px)
    if len(network.head) == 0 and trunk.num_features != embed_dim:
        width = trunk.num_features
        raise ValueError(f"model.embed_dim: {embed_dim} given, but {config.name} has no projection and gives {width}")
    if hasattr(trunk, "set_input_size") and getattr(getattr(trunk, "patch_embed", None), "img_size", None) != size_px:
        network.set_input_size(size_px)


def _clip_text_network(config: TextConfig, embed_dim: int) -> nn.Module:
    described = architecture(config.name, "model.text.name")
    text = {**described["text_cfg"], "context_length": config.context_length}
    if "hf_model_name" in text:
        raise ValueError(
            f"model.text.name: {config.name} has a Hugging Face text tower; give its folder with model.text.kind=hf"
        )
    if "hf_tokenizer_name" in text and not config.tokenizer:
        raise ValueError(
            f"model.text.tokenizer: {config.name} does not use CLIP's tokens; give the folder or the hub name of its "
            f"tokenizer, {text['hf_tokenizer_name']}"
        )
    built: nn.Module = _build_text_tower(embed_dim, text, quick_gelu=described.get("quick_gelu", False))
    return built


def _hugging_face_network(config: TextConfig, embed_dim: int, *, pretrained: bool) -> nn.Module:
    folder = text_folder(config)
    described = AutoConfig.from_pretrained(folder, local_files_only=True)
    if described.model_type not in _HUGGING_FACE_TYPES:
        known = ", ".join(_HUGGING_FACE_TYPES)
        raise ValueError(f"{folder}: model type {described.model_type}, expected one of {known}")
    pooler = POOLERS.get(config.pooling, "mean_pooler")
    network: Any = HFTextEncoder(
        str(folder), output_dim=embed_dim, pooler_type=pooler, proj_type="linear", pretrained=False
    )
    if config.pooling is TextPooling.LAST_FOUR:
        network.pooler = LastFourPooler()
        network.transformer.config.output_hidden_states = True
    # A projection that keeps angles leaves a loaded sentence space as it is until training has a reason to change it.
    start = nn.init.eye_ if network.proj.in_features == embed_dim else nn.init.orthogonal_
    start(network.proj.weight)
    if pretrained and config.weights == "pretrained":
        load_hugging_face(network.transformer, folder)
    elif pretrained and config.weights:
        load_hugging_face_half(network, model_path(config.weights, "model.text.weights"))
    built: nn.Module = network
    return built


def _frozen_names(network: nn.Module, blocks: int, option: str) -> list[str]:
    if blocks == 0:
        return []
    grouped = _blocks(network)
    if blocks > len(grouped):
        raise ValueError(f"{option}: {blocks} given, this tower has {len(grouped)} blocks")
    return [name for block in grouped[:blocks] for name in block]


def _blocks(network: nn.Module) -> list[list[str]]:
    """Parameter names of each block in order; the stem or the embeddings are with the first."""
    if isinstance(network, TimmModel):
        return _timm_blocks(network)
    found = next((parts for kind, parts in _PARTS.items() if isinstance(network, kind)), None)
    if found is None:
        name = type(network).__name__
        raise ValueError(
            f"model.*.frozen_blocks, optim.layer_decay: the blocks of {name} are not known; set them to 0 and 1"
        )
    stem, path = found
    blocks = [f"{stage}." for stage in STAGES] if path is None else _numbered(path, network)
    prefixes: list[tuple[str, ...]] = [(*stem, blocks[0]), *((block,) for block in blocks[1:])]
    names = [name for name, _ in network.named_parameters()]
    return [[name for name in names if name.startswith(prefix)] for prefix in prefixes]


def _numbered(path: str, network: nn.Module) -> list[str]:
    return [f"{path}.{number}." for number, _ in network.get_submodule(path).named_children()]


def _timm_blocks(network: TimmModel) -> list[list[str]]:
    groups: dict[int, list[str]] = group_parameters(network.trunk, network.trunk.group_matcher(coarse=True))
    ordered = [[f"trunk.{name}" for name in groups[number]] for number in sorted(groups)]
    return [ordered[0] + ordered[1], *ordered[2:]] if len(ordered) > 1 else ordered


def _wholly_frozen(module: nn.Module) -> Sequence[nn.Module]:
    """The largest submodules all of whose parameters (at least one) are frozen."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        return [module]
    return [found for child in module.children() for found in _wholly_frozen(child)]
