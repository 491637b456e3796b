"""Texts to tokens: CLIP's byte pairs, or the tokenizer of a folder. No network.

Shapes: B texts, L tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer as BackendTokenizer

from ingest.parsing import parse_json
from ophclip.data.batch import Tokens
from ophclip.data.files import TOKENIZER_CONFIG_NAME, TOKENIZER_NAME, text_folder
from ophclip.data.hub import model_path
from ophclip.model_options import TextConfig, TowerKind

_LENGTH_MULTIPLE = 8


class Tokenizer(Protocol):
    """Turns texts into tokens; picklable, so that loader processes can hold it."""

    @property
    def context_length(self) -> int:
        """Most tokens of a text; longer texts are cut."""

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokens of `texts` (B of them, at least one)."""

    def save(self, folder: Path) -> None:
        """Write into `folder` what is needed to build it again elsewhere."""


class ClipTokenizer:
    """CLIP's byte pair encoding, padded to the full context (the tower's causal mask has that size)."""

    def __init__(self, context_length: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._tokenizer = SimpleTokenizer(context_length=context_length)
        self._context_length = context_length

    @property
    def context_length(self) -> int:
        """Most tokens of a text; longer texts are cut."""
        return self._context_length

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokens of `texts`: start, words, end, then zeros."""
        ids_bl: torch.Tensor = self._tokenizer(list(texts))
        ends_b = ids_bl.argmax(dim=1)
        room = self._context_length - 2  # beside start and end
        full = [text for text, end in zip(texts, ends_b.tolist(), strict=True) if end == room + 1]
        return Tokens(
            ids_bl=ids_bl,
            mask_bl=torch.arange(ids_bl.shape[1])[None, :] <= ends_b[:, None],
            truncated=sum(len(self._tokenizer.encode(text)) > room for text in full),
        )

    def save(self, folder: Path) -> None:
        """Nothing to write: open_clip carries the vocabulary."""


class FolderTokenizer:
    """The tokenizer of a folder, padded to the longest text of the call (a multiple of 8), or to the whole context."""

    def __init__(
        self,
        backend: BackendTokenizer,
        context_length: int,
        pad_id: int,
        *,
        whole_context: bool = False,
        clean: Callable[[str], str] | None = None,
    ) -> None:
        self._backend = BackendTokenizer.from_str(backend.to_str())
        self._backend.enable_truncation(max_length=context_length)
        self._backend.enable_padding(
            pad_id=pad_id,
            pad_token=self._backend.id_to_token(pad_id),
            length=context_length if whole_context else None,
            pad_to_multiple_of=None if whole_context else _LENGTH_MULTIPLE,
        )
        self._context_length = context_length
        self._clean = clean

    @property
    def context_length(self) -> int:
        """Most tokens of a text; longer texts are cut."""
        return self._context_length

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokens of `texts` with the special tokens of that vocabulary."""
        cleaned = list(texts) if self._clean is None else [self._clean(text) for text in texts]
        encoded = self._backend.encode_batch(cleaned)
        ids_bl = torch.tensor([one.ids for one in encoded], dtype=torch.int64)
        mask_bl = torch.tensor([one.attention_mask for one in encoded], dtype=torch.bool)
        return Tokens(ids_bl=ids_bl, mask_bl=mask_bl, truncated=sum(bool(one.overflowing) for one in encoded))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, and beside it what transformers reads the padding from."""
        self._backend.save(str(folder / TOKENIZER_NAME))
        padding: Any = self._backend.padding
        described = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": padding["pad_token"]}
        (folder / TOKENIZER_CONFIG_NAME).write_text(json.dumps(described) + "\n", encoding="utf-8")


def build_tokenizer(config: TextConfig) -> Tokenizer:
    """The tokenizer that belongs to a text tower.

    Raises:
        ValueError: the folder is not there or holds no tokenizer, or the context is longer than the tower's positions.
    """
    if config.kind is TowerKind.HF:
        return _of_hugging_face(config)
    return _of_architecture(config) if config.tokenizer else ClipTokenizer(config.context_length)


def _of_hugging_face(config: TextConfig) -> FolderTokenizer:
    from transformers import AutoConfig

    folder = text_folder(config)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: no config.json; expected a Hugging Face model folder")
    described = AutoConfig.from_pretrained(folder, local_files_only=True)
    if described.pad_token_id is None:
        raise ValueError(f"{folder / 'config.json'}: names no pad_token_id; add it")
    positions = getattr(described, "max_position_embeddings", config.context_length)
    if config.context_length > positions:
        given = f"{config.context_length} given, {folder} has {positions} positions"
        raise ValueError(f"model.text.context_length: {given}")
    held = model_path(config.tokenizer, "model.text.tokenizer") if config.tokenizer else folder
    return FolderTokenizer(_backend(held), config.context_length, int(described.pad_token_id))


def _of_architecture(config: TextConfig) -> FolderTokenizer:
    """As open_clip's own `HFTokenizer` does it: texts cleaned, every text padded to the whole context."""
    from open_clip import get_model_config
    from open_clip.tokenizer import get_clean_fn

    text = (get_model_config(config.name) or {}).get("text_cfg", {})
    if "hf_tokenizer_name" not in text:
        raise ValueError(f"model.text.tokenizer: {config.name} uses CLIP's tokens; leave the option out")
    options = text.get("tokenizer_kwargs", {})
    if options.keys() - {"clean"} or "tokenizer_mode" in text:
        raise ValueError(f"model.text.name: how {config.name} cuts texts into tokens is not known here; take another")
    folder = model_path(config.tokenizer, "model.text.tokenizer")
    backend = _backend(folder)
    return FolderTokenizer(
        backend,
        config.context_length,
        _pad_id(folder, backend),
        whole_context=True,
        clean=get_clean_fn(options.get("clean", "whitespace")),
    )


def _pad_id(folder: Path, backend: BackendTokenizer) -> int:
    path = folder / TOKENIZER_CONFIG_NAME
    token = parse_json(path.read_text(encoding="utf-8")).get("pad_token") if path.is_file() else None
    name = token["content"] if isinstance(token, dict) else token
    found = None if name is None else backend.token_to_id(name)
    if found is None:
        raise ValueError(f"{path}: expected the pad_token of {folder / TOKENIZER_NAME}; copy the folder anew")
    return int(found)


def _backend(folder: Path) -> BackendTokenizer:
    if (folder / TOKENIZER_NAME).is_file():
        return BackendTokenizer.from_file(str(folder / TOKENIZER_NAME))
    if not any((folder / name).is_file() for name in ("vocab.txt", "vocab.json", "tokenizer.model")):
        raise ValueError(f"{folder}: no {TOKENIZER_NAME} and no vocabulary; expected a Hugging Face model folder")
    from transformers import AutoTokenizer

    backend: BackendTokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    return backend
