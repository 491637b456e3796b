"""The files that training is given, found without torch: a wrong path is told before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path

from ingest.shards import CachedShards, ShardReader, default_cache
from ophclip.config import DataConfig
from ophclip.data.hub import is_elsewhere, model_path
from ophclip.model_options import ModelConfig, TextConfig, TowerKind

TOKENIZER_NAME = "tokenizer.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"


def open_corpus(data: DataConfig) -> ShardReader:
    """The shards of a corpus folder, or of an address through the cache.

    Raises:
        ValueError: nothing is there, or no shards are; an address that cannot be read.
    """
    root = data.root.removeprefix("file://")
    if "://" in root:
        folder = Path(data.cache).expanduser() if data.cache else default_cache()
        return ShardReader(CachedShards(root, folder, int(data.cache_gb * 1e9)))
    if not Path(root).is_dir():
        raise ValueError(f"data.root: {root} is no folder; make a corpus with `ophclip ingest SOURCE --out {root}`")
    return ShardReader(Path(root))


def text_folder(config: TextConfig) -> Path:
    """The local folder of a Hugging Face text tower.

    Raises:
        ValueError: no such folder and nothing of that name in the cache.
    """
    return model_path(config.name, "model.text.name")


def named_files(config: ModelConfig) -> dict[str, str]:
    """What `config` takes from elsewhere, by option: paths, `package:...` and hub names."""
    text = config.text
    named = {
        "model.visual.weights": config.visual.weights,
        "model.text.weights": "" if text.weights == "pretrained" else text.weights,
        "model.text.tokenizer": text.tokenizer,
        "model.text.name": text.name if text.kind is TowerKind.HF else "",
    }
    return {option: name for option, name in named.items() if name}


def require_files(config: ModelConfig) -> None:
    """See that what both towers begin with is there, or may be fetched.

    Raises:
        ValueError: one line that names what is missing.
    """
    for option, name in named_files(config).items():
        if not (config.download and is_elsewhere(name)):
            model_path(name, option)
