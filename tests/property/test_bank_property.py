"""Whatever is done to a bank: it is what plain dictionaries would hold, and a save in the middle changes nothing."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_index.bank import NEVER, KnowledgeBank
from retrieval_index.config import VectorConfig

DIM = 4
CONFIG = {
    "exact": VectorConfig(),
    "ivf": VectorConfig(kind="ivf", nlist=2, nprobe=2),
    "hnsw": VectorConfig(kind="hnsw", ef_search=64),
}
_ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "rolling", "stage", "stage", "swap", "refresh", "add", "remove", "search"]),
        st.integers(1, 4),
        st.integers(0, 9999),
    ),
    max_size=25,
)


@dataclass
class Naive:
    """The bank as dictionaries by id: unit vectors in float16, steps of their computation, the same for the shadow."""

    rows: dict[str, np.ndarray | None]
    computed: dict[str, int] = field(default_factory=dict)
    shadow: dict[str, tuple[np.ndarray, int]] = field(default_factory=dict)
    version: int = 0

    def swap(self) -> None:
        for name, (row, step) in self.shadow.items():
            if self.computed.get(name, NEVER) <= step:
                self.rows[name], self.computed[name] = row, step
        self.shadow.clear()
        self.version += 1


def _pair(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    title, visual = rng.normal(size=(2, count, DIM))
    return title, visual


def _half(title: np.ndarray, visual: np.ndarray) -> list[np.ndarray]:
    units = [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32) for one in (title, visual)]
    return list(np.concatenate(units, axis=1).astype(np.float16))


def _act(bank: KnowledgeBank, naive: Naive, action: tuple[str, int, int], step: int) -> None:
    """One action on both; those that the bank would refuse are left out."""
    kind, count, seed = action
    rng = np.random.default_rng(seed)
    filled = naive.version > 0
    ids = [bank.ids[place] for place in rng.permutation(len(bank))[:count]]
    if kind == "rolling":
        ids = list(bank.rows_to_refresh(count))
        assert ids == sorted(naive.rows, key=lambda name: naive.computed.get(name, NEVER))[:count]
    title, visual = _pair(rng, len(ids))
    if kind in ("replace", "rolling") and filled:
        bank.replace(ids, title, visual, step)
        naive.rows.update(zip(ids, _half(title, visual), strict=True))
        naive.computed.update(dict.fromkeys(ids, step))
    elif kind == "stage":
        ids = list(bank.rows_to_stage(count))
        waiting = [name for name in naive.rows if name not in naive.shadow]
        assert ids == sorted(waiting, key=lambda name: naive.computed.get(name, NEVER))[:count]
        title, visual = _pair(rng, len(ids))
        bank.stage(ids, title, visual, step)
        naive.shadow.update({name: (row, step) for name, row in zip(ids, _half(title, visual), strict=True)})
    elif kind == "swap" and set(naive.shadow) == set(naive.rows):
        bank.swap(step)
        naive.swap()
    elif kind == "refresh":
        title, visual = _pair(rng, len(bank))
        bank.refresh(title, visual, step)
        naive.shadow.update({name: (row, step) for name, row in zip(bank.ids, _half(title, visual), strict=True)})
        naive.swap()
    elif kind == "add" and filled:
        new = [f"{step} {n}" for n in range(count)]
        title, visual = _pair(rng, count)
        under_way = bool(bank.state_dict()["staged_rows_ne"].numel())
        bank.add(new, title, visual, step, {new[0]: {"step": str(step)}})
        for name, row in zip(new, _half(title, visual), strict=True):
            naive.rows[name], naive.computed[name] = row, step
            if under_way:
                naive.shadow[name] = row, step
    elif kind == "remove":
        bank.remove(ids)
        for name in ids:
            for table in (naive.rows, naive.computed, naive.shadow):
                table.pop(name, None)
    elif kind == "search":
        bank.search(rng.normal(size=(2, DIM)), count, ("title", "visual", "mean")[seed % 3])


def _check(bank: KnowledgeBank, naive: Naive, step: int) -> None:
    assert bank.ids == tuple(naive.rows)
    assert bank.version == naive.version
    assert set(bank.attributes) <= set(naive.rows)
    np.testing.assert_array_equal(bank.ages(step), [step - naive.computed.get(name, NEVER) for name in naive.rows])
    query = np.random.default_rng(step).normal(size=DIM)
    for key, columns in (("title", slice(DIM)), ("visual", slice(DIM, None)), ("mean", slice(None))):
        found = bank.search(query[None], 3, key)
        if not naive.version:
            assert found.ids == ((),)
            continue
        unit = query / np.linalg.norm(query)
        asked = np.tile(unit / 2, 2) if key == "mean" else unit
        scores = {name: float(asked @ row[columns].astype(float)) for name, row in naive.rows.items()}
        best = sorted(scores, key=lambda name: -scores[name])[:3]
        np.testing.assert_allclose([scores[name] for name in found.ids[0]], [scores[name] for name in best], atol=1e-6)
        np.testing.assert_allclose(found.scores_qk[0], [scores[name] for name in best], atol=1e-6)
        seen = [naive.rows[name][DIM:] for name in found.ids[0]]
        np.testing.assert_array_equal(found.visual_qkd[0], np.array(seen).reshape(-1, DIM))


def _through_checkpoint(bank: KnowledgeBank) -> KnowledgeBank:
    stream = io.BytesIO()
    torch.save(bank.state_dict(), stream)
    stream.seek(0)
    again = KnowledgeBank(DIM, bank.ids, bank.attributes, bank.config)
    again.load_state_dict(torch.load(stream, weights_only=True))
    return again


def _through_folder(bank: KnowledgeBank) -> KnowledgeBank:
    with tempfile.TemporaryDirectory() as folder:
        bank.save(Path(folder))
        return KnowledgeBank.load(Path(folder))


@pytest.mark.parametrize("through", [_through_checkpoint, _through_folder])
@pytest.mark.parametrize("kind", CONFIG)
@settings(max_examples=20, deadline=None)
@given(actions=_ACTIONS, pause=st.integers(0, 25))
def test_a_bank_is_its_dictionaries_and_goes_on_as_if_never_saved(
    kind: str,
    through: Callable[[KnowledgeBank], KnowledgeBank],
    actions: list[tuple[str, int, int]],
    pause: int,
) -> None:
    ids = [f"s{n}" for n in range(6)]
    bank, naive = KnowledgeBank(DIM, ids, {"s1": {"procedure": "phaco"}}, CONFIG[kind]), Naive(dict.fromkeys(ids))
    resumed, resumed_naive = (
        KnowledgeBank(DIM, ids, {"s1": {"procedure": "phaco"}}, CONFIG[kind]),
        Naive(dict.fromkeys(ids)),
    )
    for step, action in enumerate(actions):
        if step == pause:
            resumed = through(resumed)
        _act(bank, naive, action, step)
        _act(resumed, resumed_naive, action, step)
    one, other = bank.state_dict(), resumed.state_dict()
    assert list(one) == list(other)
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=0)
    assert resumed.attributes == bank.attributes
    _check(bank, naive, len(actions))
    _check(resumed, naive, len(actions))
