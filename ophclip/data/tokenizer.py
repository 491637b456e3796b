"""Texts to tokens: CLIP's byte pairs, or the tokenizer of a local Hugging Face folder. No network.

Shapes: B texts, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import Tokenizer as BackendTokenizer

from ingest.weights import resolve_weights
from ophclip.config import TextConfig, TowerKind
from ophclip.data.batch import Tokens

TOKENIZER_NAME = "tokenizer.json"
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
    """The tokenizer of a Hugging Face folder, padded to the longest text of the call (a multiple of 8)."""

    def __init__(self, backend: BackendTokenizer, context_length: int, pad_id: int) -> None:
        self._backend = BackendTokenizer.from_str(backend.to_str())
        self._backend.enable_truncation(max_length=context_length)
        pad_token = self._backend.id_to_token(pad_id)
        self._backend.enable_padding(pad_id=pad_id, pad_token=pad_token, pad_to_multiple_of=_LENGTH_MULTIPLE)
        self._context_length = context_length

    @property
    def context_length(self) -> int:
        """Most tokens of a text; longer texts are cut."""
        return self._context_length

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokens of `texts` with the special tokens of that vocabulary."""
        encoded = self._backend.encode_batch(list(texts))
        ids_bl = torch.tensor([one.ids for one in encoded], dtype=torch.int64)
        mask_bl = torch.tensor([one.attention_mask for one in encoded], dtype=torch.bool)
        return Tokens(ids_bl=ids_bl, mask_bl=mask_bl, truncated=sum(bool(one.overflowing) for one in encoded))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`."""
        self._backend.save(str(folder / TOKENIZER_NAME))


def build_tokenizer(config: TextConfig) -> Tokenizer:
    """The tokenizer that belongs to a text tower.

    Raises:
        ValueError: the folder is not there or holds no tokenizer, or the context is longer than the tower's positions.
    """
    if config.kind is TowerKind.OPEN_CLIP:
        return ClipTokenizer(config.context_length)
    return _from_folder(text_folder(config), config.context_length)


def text_folder(config: TextConfig) -> Path:
    """The local folder of a Hugging Face text tower: a path, `package:...`, or a hub name already in the cache.

    Raises:
        ValueError: no such folder and nothing of that name in the cache.
    """
    if config.name.startswith("package:") or Path(config.name).exists():
        return resolve_weights(config.name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(config.name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError) as error:
        raise ValueError(
            f"model.text.name: {config.name} is neither a local folder nor in the Hugging Face cache; "
            "give a folder with config.json, tokenizer and weights"
        ) from error


def _from_folder(folder: Path, context_length: int) -> FolderTokenizer:
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: no config.json; expected a Hugging Face model folder")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.pad_token_id is None:
        raise ValueError(f"{folder / 'config.json'}: names no pad_token_id; add it")
    positions = getattr(config, "max_position_embeddings", context_length)
    if context_length > positions:
        raise ValueError(f"model.text.context_length: {context_length} given, {folder} has {positions} positions")
    return FolderTokenizer(_backend(folder), context_length, int(config.pad_token_id))


def _backend(folder: Path) -> BackendTokenizer:
    if (folder / TOKENIZER_NAME).is_file():
        return BackendTokenizer.from_file(str(folder / TOKENIZER_NAME))
    if not any((folder / name).is_file() for name in ("vocab.txt", "vocab.json", "tokenizer.model")):
        raise ValueError(f"{folder}: no {TOKENIZER_NAME} and no vocabulary; expected a Hugging Face model folder")
    from transformers import AutoTokenizer

    backend: BackendTokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    return backend
