"""The bank against arrays that a loop keeps: search, write-back, checkpoint."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from retrieval_index.bank import NEVER, KnowledgeBank


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _filled(rng: np.random.Generator) -> tuple[KnowledgeBank, np.ndarray, np.ndarray]:
    titles, visuals = rng.normal(size=(2, 30, 6))
    bank = KnowledgeBank(6, [f"s{n}" for n in range(30)])
    bank.refresh(titles, visuals, step=10)
    return bank, _unit(titles), _unit(visuals)


def _check_search(bank: KnowledgeBank, titles: np.ndarray, visuals: np.ndarray, queries: np.ndarray) -> None:
    found = bank.search(queries * 3, 4)
    for query, ids, scores, seen in zip(_unit(queries), found.ids, found.scores_qk, found.visual_qkd, strict=True):
        products = [float(query @ title) for title in titles]
        best = sorted(range(len(titles)), key=lambda n: -products[n])[:4]
        assert list(ids) == [f"s{n}" for n in best]
        np.testing.assert_allclose(scores, [products[n] for n in best], atol=2e-3)
        np.testing.assert_allclose(seen, visuals[best], atol=2e-3)


def test_search_and_write_back_and_checkpoint() -> None:
    rng = np.random.default_rng(0)
    bank, titles, visuals = _filled(rng)
    queries = rng.normal(size=(5, 6))
    _check_search(bank, titles, visuals, queries)
    fresh_title, fresh_visual = rng.normal(size=(2, 2, 6))
    bank.replace(["s4", "s20"], fresh_title, fresh_visual, step=13, momentum=0.25)
    titles[[4, 20]] = _unit(0.25 * titles[[4, 20]] + 0.75 * _unit(fresh_title))
    visuals[[4, 20]] = _unit(0.25 * visuals[[4, 20]] + 0.75 * _unit(fresh_visual))
    _check_search(bank, titles, visuals, queries)
    assert [int(age) for age in bank.ages(15)[[3, 4, 20]]] == [5, 2, 2]
    stream = io.BytesIO()
    torch.save(bank.state_dict(), stream)
    stream.seek(0)
    again = KnowledgeBank(6, bank.ids)
    again.load_state_dict(torch.load(stream, weights_only=True))
    assert again.refreshed_at == 10
    assert again.search(queries, 4).ids == bank.search(queries, 4).ids
    np.testing.assert_array_equal(again.search(queries, 4).visual_qkd, bank.search(queries, 4).visual_qkd)


@pytest.mark.parametrize("key", ["visual", "mean"])
def test_keys_other_than_titles(key: str) -> None:
    rng = np.random.default_rng(1)
    titles, visuals = _unit(rng.normal(size=(2, 20, 6)))
    bank = KnowledgeBank(6, [f"s{n}" for n in range(20)])
    bank.refresh(titles, visuals, step=0)
    fresh = _unit(rng.normal(size=(2, 1, 6)))
    bank.replace(["s7"], fresh[0], fresh[1], step=1)
    titles[7], visuals[7] = fresh[0, 0], fresh[1, 0]
    keys = visuals if key == "visual" else (titles + visuals) / 2
    queries = _unit(rng.normal(size=(4, 6)))
    again = KnowledgeBank(6, bank.ids)
    again.load_state_dict(bank.state_dict())
    for one in (bank, again):
        found = one.search(queries, 3, key)
        for query, ids, scores in zip(queries, found.ids, found.scores_qk, strict=True):
            products = sorted(((float(query @ row), n) for n, row in enumerate(keys)), reverse=True)[:3]
            assert list(ids) == [f"s{n}" for _, n in products]
            np.testing.assert_allclose(scores, [product for product, _ in products], atol=2e-3)
        rows = one.vectors(["s7", "s0"], key)
        np.testing.assert_allclose(rows.key_md, keys[[7, 0]], atol=2e-3)
        np.testing.assert_allclose(rows.title_md, titles[[7, 0]], atol=2e-3)
        np.testing.assert_allclose(rows.visual_md, visuals[[7, 0]], atol=2e-3)


def test_a_bank_that_was_never_filled_finds_nothing() -> None:
    for ids in ([], ["a", "b"]):
        bank = KnowledgeBank(3, ids)
        found = bank.search(np.ones((2, 3)), 4)
        assert found.ids == ((), ())
        assert found.visual_qkd.shape == (2, 0, 3)
        again = KnowledgeBank(3, ids)
        again.load_state_dict(bank.state_dict())
        assert again.refreshed_at == NEVER
        assert again.search(np.ones((2, 3)), 4).ids == ((), ())


def test_one_line_names_what_is_wrong() -> None:
    bank = KnowledgeBank(3, ["a", "b"])
    row = np.ones((1, 3))
    with pytest.raises(ValueError, match="only after the first refresh"):
        bank.replace(["a"], row, row, step=0)
    bank.refresh(np.ones((2, 3)), np.ones((2, 3)), step=0)
    with pytest.raises(ValueError, match=r"found \['c'\]"):
        bank.replace(["c"], row, row, step=0)
    with pytest.raises(ValueError, match="found one twice"):
        bank.replace(["a", "a"], np.ones((2, 3)), np.ones((2, 3)), step=0)
    with pytest.raises(ValueError, match="finite visual vectors"):
        bank.refresh(np.ones((2, 3)), np.full((2, 3), np.nan), step=0)
    with pytest.raises(ValueError, match="expected state of shape"):
        bank.load_state_dict(KnowledgeBank(3, ["a"]).state_dict())
    with pytest.raises(ValueError, match="stands there twice"):
        KnowledgeBank(3, ["a", "a"])
    with pytest.raises(ValueError, match="'z' is not a video"):
        KnowledgeBank(3, ["a"], {"z": {}})
