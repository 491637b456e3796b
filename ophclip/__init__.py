"""ophclip: from a folder of surgical videos to a video-language model that can be searched and asked.

The public names below are imported when they are first used, so that `import ophclip` stays light (no torch).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ophclip.models.bundle import load, load_bundle
    from ophclip.models.factory import create_model_and_transforms, get_tokenizer
    from ophclip.search.index import open_index
    from ophclip.training.run import train

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "create_model_and_transforms",
    "get_tokenizer",
    "load",
    "load_bundle",
    "open_index",
    "train",
]

_HOMES = {
    "create_model_and_transforms": "ophclip.models.factory",
    "get_tokenizer": "ophclip.models.factory",
    "load": "ophclip.models.bundle",
    "load_bundle": "ophclip.models.bundle",
    "open_index": "ophclip.search.index",
    "train": "ophclip.training.run",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ophclip' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
