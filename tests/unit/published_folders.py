"""Folders as they are published, with small random contents: a BERT, and a tokenizer of SigLIP's kind."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = (
    *("the", "phaco", "handpiece", "removes", "a", "nucleus", "lens", "iris"),
    *("incision", "is", "made", "at", "limbus", "with"),
)


def write_bert(folder: Path, hidden: int = 32, layers: int = 3) -> Path:
    """A small BERT with random weights in the layout that published ones have."""
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "lens", "iris"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def write_siglip_tokenizer(folder: Path) -> Path:
    """Pieces of words, an end after each text, and that end as padding, in the files of the release."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -5.0 - number / 10) for number, word in enumerate(WORDS)]
    pieces += [("▁", -9.0), *((letter, -10.0) for letter in "abcdefghijklmnopqrstuvwxyz")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {"tokenizer_class": "T5Tokenizer", "pad_token": "</s>", "eos_token": "</s>", "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    return folder
