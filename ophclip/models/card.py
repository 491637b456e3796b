"""The card of a bundle: what the model is, what it was made from, what it is for and what it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ophclip.model_options import ModelConfig

_USAGE = """\
```python
import ophclip

model, preprocess, tokenizer = ophclip.load("THIS FOLDER")
```"""
_OPEN_CLIP_USAGE = """\
open_clip opens it too: `open_clip.create_model_and_transforms("local-dir:THIS FOLDER")`. A video is the mean of its
frames' unit vectors."""
_INTENDED_USE = """\
Research on surgical video: finding moments by words, recognising phases and instruments without training on them,
vectors for probes. It is no medical device: nothing about a patient may be decided by it."""
_LIMITS = """\
- It knows what its corpus shows: other procedures, instruments, cameras and languages may be told wrongly.
- Scores are cosines, not probabilities; compare them within one query only.
- Texts and titles were made by machine from speech and metadata, and their mistakes were learned.
- Weights may be used only as the licences of the corpus and of the weights that training began with allow.
- Quality stands in the result files of `ophclip zeroshot` on labelled data of your own, not here."""


def card_text(
    config: ModelConfig, facts: Mapping[str, object], *, options: Mapping[str, Any] | None, opens_in_open_clip: bool
) -> str:
    """The card as Markdown with the header of a hub's model page.

    Args:
        config: the model; no path of it may name a folder of this machine.
        facts: rows of the table, in order.
        options: those of the training, None if there was none.
        opens_in_open_clip: whether `open_clip_config.json` stands beside it.
    """
    rows = {
        "visual tower": f"{config.visual.name} ({config.visual.kind.value}), {config.visual.image_size_px} px",
        "text tower": f"{config.text.name} ({config.text.kind.value}), {config.text.context_length} tokens",
        "began with": _began_with(config),
        "common space": f"{config.embed_dim} dimensions",
        "pooling over frames": config.pooling.value,
        **facts,
    }
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    sections = {
        "Use": f"{_USAGE}\n\n{_OPEN_CLIP_USAGE}" if opens_in_open_clip else _USAGE,
        "Intended use": _INTENDED_USE,
        "Limits": _LIMITS,
    }
    if options is not None:
        sections["Options of the training"] = f"```yaml\n{yaml.safe_dump(dict(options), sort_keys=False)}```"
    written = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    header = "---\nlibrary_name: ophclip\ntags: [surgical-video, video-retrieval, zero-shot]\n---\n"
    lead = f"# {config.name}\n\nA dual encoder for surgical video, made by ophclip."
    return f"{header}{lead}\n\n| | |\n|---|---|\n{table}\n\n{written}\n"


def _began_with(config: ModelConfig) -> str:
    return f"visual: {config.visual.weights or 'random weights'}; text: {config.text.weights or 'random weights'}"


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "/").replace("<", "&lt;").replace("[", "\\[").split())
