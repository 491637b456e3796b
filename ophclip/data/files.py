"""The files that training is given, found without torch: a wrong path is told before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path

from ingest.shards import ShardReader
from ingest.weights import resolve_weights
from ophclip.config import ModelConfig, TextConfig, TowerKind


def open_corpus(root: str) -> ShardReader:
    """The shards of a corpus folder.

    Raises:
        ValueError: nothing is there, or no shards are.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise ValueError(f"data.root: {root} is no folder; make a corpus with `ophclip ingest SOURCE --out {root}`")
    return ShardReader(folder)


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


def require_files(config: ModelConfig) -> None:
    """See that the weights that both towers begin with are there.

    Raises:
        ValueError: one line that names what is missing.
    """
    for weights in (config.visual.weights, config.text.weights if config.text.kind is TowerKind.OPEN_CLIP else ""):
        if weights:
            resolve_weights(weights)
    if config.text.kind is TowerKind.HF:
        text_folder(config.text)
