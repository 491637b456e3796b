"""What a bank knows of itself: attributes, ages, how stale it is; and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from retrieval_index.bank import KnowledgeBank
from retrieval_index.freshness import overlap


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _bank(rows: int = 6, dim: int = 3) -> KnowledgeBank:
    rng = np.random.default_rng(0)
    procedures = {f"s{n}": {"procedure": "phaco" if n % 2 else "trabeculectomy", "site": "A"} for n in range(4)}
    bank = KnowledgeBank(dim, [f"s{n}" for n in range(rows)], procedures)
    bank.refresh(*rng.normal(size=(2, rows, dim)), step=10)
    return bank


def test_attributes_filter_a_search() -> None:
    bank = _bank()
    phaco = bank.matching({"procedure": "phaco"})
    assert phaco.tolist() == [False, True, False, True, False, False]
    assert sorted(bank.search(np.ones((1, 3)), 9, allowed=phaco).ids[0]) == ["s1", "s3"]
    assert bank.matching({"procedure": "phaco", "site": "B"}).sum() == 0
    assert bank.matching({}).all()
    bank.remove(["s1"])
    assert bank.search(np.ones((1, 3)), 9, "mean", bank.matching({"procedure": "phaco"})).ids == (("s3",),)


def test_statistics_count_what_was_encoded() -> None:
    bank = KnowledgeBank(2, ["a", "b", "c", "d"])
    empty = bank.statistics(7)
    assert (empty.version, empty.filled_share, empty.max_age_steps, empty.mean_age_steps) == (0, 0, 0, 0)
    bank.stage(["a"], np.ones((1, 2)), np.ones((1, 2)), 8)
    assert bank.statistics(9).staged_share == 0.25
    assert bank.rows_to_stage(2) == ("b", "c")
    bank.stage(["b", "c", "d"], np.ones((3, 2)), np.ones((3, 2)), 10)
    bank.swap(11)
    now = bank.statistics(12)
    assert (now.version, now.filled_share, now.staged_share) == (1, 1, 0)
    assert (now.max_age_steps, now.mean_age_steps) == (4, 2.5)
    assert bank.rows_to_refresh(2) == ("a", "b")


def test_rolling_within_a_budget_comes_to_every_row() -> None:
    bank = _bank()
    for step in range(11, 14):
        ids = bank.rows_to_refresh(2)
        bank.replace(ids, np.ones((2, 3)), np.ones((2, 3)), step)
    assert bank.ages(13).tolist() == [2, 2, 1, 1, 0, 0]


def _naive_overlap(stale: np.ndarray, fresh: np.ndarray, k: int) -> float:
    shares = []
    for own, query in enumerate(fresh):
        others = [row for row in range(len(fresh)) if row != own]
        among_fresh = sorted(others, key=lambda row: -(fresh[row] @ query))[:k]
        among_stale = sorted(others, key=lambda row: -(stale[row] @ query))[:k]
        shares.append(len(set(among_fresh) & set(among_stale)) / k)
    return float(np.mean(shares))


def test_overlap_of_stale_and_fresh_neighbours() -> None:
    rng = np.random.default_rng(1)
    stale = _unit(rng.normal(size=(80, 12))).astype(np.float32)
    for noise in (0.0, 0.05, 0.3, 9.0):
        fresh = _unit(stale + noise * rng.normal(size=stale.shape)).astype(np.float32)
        assert overlap(stale, fresh, 5) == pytest.approx(_naive_overlap(stale, fresh, 5))
    assert overlap(stale, stale, 5) == 1
    assert overlap(stale[:1], stale[:1], 5) == 1
    repeated = stale[np.arange(80) % 4]
    shuffled = repeated[np.random.default_rng(2).permutation(80)]
    assert overlap(repeated, repeated, 5) == 1, "which of equal titles is found does not count"
    assert overlap(shuffled, repeated, 5) < 0.5


def test_a_swap_says_how_stale_the_bank_was() -> None:
    rng = np.random.default_rng(3)
    bank = KnowledgeBank(8, [f"s{n}" for n in range(400)])
    title, visual = rng.normal(size=(2, 400, 8))
    assert bank.refresh(title, visual, 0) is None
    same = bank.refresh(title, visual, 1)
    assert same is not None
    assert (same.overlap, same.title_similarity) == (1, pytest.approx(1, abs=1e-3))
    drifted = bank.agreement(bank.ids, title + 0.5 * rng.normal(size=title.shape), -visual)
    assert 0.2 < drifted.overlap < 0.9
    assert 0.8 < drifted.title_similarity < 0.95
    assert drifted.visual_similarity == pytest.approx(-1, abs=1e-3)


def test_keys() -> None:
    bank = KnowledgeBank(2, ["title", "picture", "both"])
    east, north, between = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]
    bank.refresh(np.array([east, north, between]), np.array([north, east, between]), 0)
    query = np.array([[2.0, 0.0]])
    assert bank.search(query, 1).ids == (("title",),)
    assert bank.search(query, 1, "visual").ids == (("picture",),)
    found = bank.search(query, 3, "mean")
    assert found.ids[0][0] == "both"
    np.testing.assert_allclose(found.scores_qk, [[0.5**0.5, 0.5, 0.5]], atol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda bank: bank.search(np.ones((1, 3)), 1, "titel"), "key: expected one of title, visual, mean"),
        (lambda bank: bank.search(np.ones((1, 2)), 1), r"queries: expected shape \[rows, 3\]"),
        (lambda bank: bank.search(np.ones((1, 3)), 0), "k: expected at least 1"),
        (lambda bank: bank.search(np.ones((1, 3)), 1, allowed=np.ones(5, bool)), "allowed: expected 6 booleans"),
        (lambda bank: bank.swap(11), "6 of 6 rows are not staged"),
        (lambda bank: bank.stage(["x"], np.ones((1, 3)), np.ones((1, 3)), 0), r"found \['x'\]"),
        (lambda bank: bank.stage(["s1"], np.ones((2, 3)), np.ones((1, 3)), 0), "finite title vectors"),
        (lambda bank: bank.add(["s1"], np.ones((1, 3)), np.ones((1, 3)), 0), "'s1' is in the index already"),
        (lambda bank: bank.add(["n"], np.ones((1, 3)), np.ones((1, 3)), 0, {"m": {}}), "'m' is not a video"),
        (lambda bank: bank.remove(["s1", "x"]), "'x' is not in the index"),
        (lambda bank: bank.load_state_dict({}), "expected 'computed_at_n' in its state"),
        (lambda _: KnowledgeBank(2, ["a"]).add(["b"], np.ones((1, 2)), np.ones((1, 2)), 0), "after the first"),
        (lambda _: KnowledgeBank(0, []), "dim: expected at least 1"),
    ],
)
def test_one_line_names_what_is_wrong_and_nothing_changes(wrong: Callable[[KnowledgeBank], object], words: str) -> None:
    bank = _bank()
    before = bank.state_dict()
    with pytest.raises(ValueError, match=words) as caught:
        wrong(bank)
    assert "\n" not in str(caught.value)
    after = bank.state_dict()
    assert all((after[name] == before[name]).all() for name in before)
    assert bank.ids == tuple(f"s{n}" for n in range(6))
