"""The knowledge bank: title and visual vectors of the silent videos, as training last saw them (OphCLIP section 3.3).

It changes in three ways. Rows that a step encoded anyway are written back (`replace`). The oldest rows are encoded anew
within a budget (`rows_to_refresh`, then `replace`). All rows are encoded anew, at once (`refresh`) or over many steps
into a shadow (`rows_to_stage`, `stage`), which takes the place of the bank between two steps (`swap`).
Legend of shapes: n silent videos, m of them, q queries, k neighbours, d width, e the width of title and visual vector.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval_index.approximate import STATE
from retrieval_index.config import VectorConfig, same_structure
from retrieval_index.files import read_folder, write_folder
from retrieval_index.freshness import Agreement, Statistics, compare
from retrieval_index.retrieved import BankVectors, Key, Retrieved
from retrieval_index.rows import Rows
from retrieval_index.searcher import Searcher, build_searcher, checked, find
from retrieval_index.shadow import Shadow

NEVER = -1
_NAME = "bank"
_ARRAYS = ("rows_ne", "computed_at_n", "staged_rows_ne", "staged_n", "staged_at_n", "counters")


class KnowledgeBank:
    """Two unit vectors a silent video, float16, what is known of it, and the step at which its row was last computed.

    A new bank is empty of vectors and finds nothing; the first swap fills it. What it does depends on the calls alone:
    a bank that takes up another's state goes on as that one would.
    """

    def __init__(
        self,
        dim: int,
        ids: Sequence[str],
        attributes: Mapping[str, Mapping[str, str]] | None = None,
        config: VectorConfig | None = None,
    ) -> None:
        """A bank for the videos `ids`, with what else is known of them in `attributes`.

        Args:
            dim: width of the vectors.
            ids: of the silent videos, in row order.
            attributes: words by name, by video.
            config: how it is searched; rows are float16 whatever it says of them.

        Raises:
            ValueError: ids that repeat, attributes of an unknown id, or a width below one.
        """
        if dim < 1:
            raise ValueError(f"dim: expected at least 1, found {dim}; give the width of the vectors")
        self.config = replace(config or VectorConfig(), row_type="float16")
        self._dim = dim
        self._rows = Rows(ids, np.zeros((len(ids), 2 * dim), np.float16))
        self._computed_at_n = np.full(len(ids), NEVER, np.int64)
        self._shadow = Shadow(len(ids), 2 * dim)
        self._refreshed_at = NEVER
        self._version = 0
        self._attributes: dict[str, dict[str, str]] = {}
        self._searchers: dict[Key, Searcher] = {}
        self._describe(attributes or {})

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._rows

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the silent videos, in row order."""
        return self._rows.ids

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._dim

    @property
    def version(self) -> int:
        """How often the whole bank was swapped."""
        return self._version

    @property
    def refreshed_at(self) -> int:
        """Step of the last swap, `NEVER` before the first."""
        return self._refreshed_at

    @property
    def attributes(self) -> Mapping[str, Mapping[str, str]]:
        """What is known of the videos, by id."""
        return self._attributes

    def ages(self, step: int) -> NDArray[np.int64]:
        """Steps since each row was computed [n]; rows that never were count from before the first step."""
        ages: NDArray[np.int64] = step - self._computed_at_n
        return ages

    def statistics(self, step: int) -> Statistics:
        """The bank in figures, for the log."""
        filled_n = self._computed_at_n != NEVER
        ages = self.ages(step)[filled_n]
        return Statistics(
            version=self._version,
            filled_share=float(filled_n.mean()) if len(self) else 0.0,
            staged_share=float(self._shadow.staged_n.mean()) if len(self) else 0.0,
            mean_age_steps=float(ages.mean()) if len(ages) else 0.0,
            max_age_steps=int(ages.max(initial=0)),
        )

    def matching(self, wanted: Mapping[str, str]) -> NDArray[np.bool_]:
        """Which videos have all these attributes [n]: a filter for `search`."""
        nothing: dict[str, str] = {}
        known = (self._attributes.get(video_id, nothing) for video_id in self.ids)
        return np.array([wanted.items() <= words.items() for words in known], np.bool_)

    def search(
        self, queries_qd: NDArray[Any], k: int, key: Key = "title", allowed: NDArray[np.bool_] | None = None
    ) -> Retrieved:
        """The `k` silent videos nearest to each query [q, d] by cosine.

        Args:
            queries_qd: of any length but zero.
            k: how many.
            key: what queries are compared with: `title` vectors, `visual` ones, or both, by the `mean` of the cosines.
            allowed: leaves out the videos where it is False [n].

        Raises:
            ValueError: a wrong shape, k below one, an unknown key, or values that are not finite.
        """
        if key not in get_args(Key):
            raise ValueError(f"key: expected one of {', '.join(get_args(Key))}, found {key!r}")
        queries = _unit(checked(queries_qd, self._dim, "queries"))
        if key == "mean":
            queries = np.tile(queries / np.float32(2), 2)
        if self._refreshed_at == NEVER:
            allowed = np.zeros(len(self), np.bool_)
        top = find(self._searcher(key), self._columns(key), queries, k, allowed)
        visual_qkd = self._columns("visual")[top.rows_qk]
        return Retrieved(ids=self._rows.names(top.rows_qk), scores_qk=top.scores_qk, visual_qkd=visual_qkd)

    def vectors(self, ids: Sequence[str], key: Key = "title") -> BankVectors:
        """The rows of `ids`, in their order; for `mean` the key is the mean of both vectors.

        Raises:
            ValueError: an unknown or repeated id.
        """
        places = self._places(ids)
        title, visual = self._columns("title")[places], self._columns("visual")[places]
        mean = (title.astype(np.float32) + visual) / 2
        keys = {"title": title.astype(np.float32), "visual": visual.astype(np.float32), "mean": mean}
        return BankVectors(key_md=keys[key], title_md=title, visual_md=visual)

    def replace(
        self, ids: Sequence[str], title_md: NDArray[Any], visual_md: NDArray[Any], step: int, momentum: float = 0.0
    ) -> None:
        """Write rows back that were computed at `step`; `momentum` is the share of the old vector that stays.

        Raises:
            ValueError: before the first swap, an unknown or repeated id, a wrong shape, values that are not finite.
        """
        if self._refreshed_at == NEVER:
            raise ValueError("bank: rows are written back only after the first refresh")
        places, fresh = self._places(ids), self._joined(title_md, visual_md, len(ids))
        if momentum:
            kept = self._rows.table_nd[places].astype(np.float32)
            mixed = momentum * kept + (1 - momentum) * fresh
            fresh = self._joined(mixed[:, : self._dim], mixed[:, self._dim :], len(ids))
        self._rows.overwrite(ids, fresh)
        self._computed_at_n[places] = step
        self._written(places)

    def add(
        self,
        ids: Sequence[str],
        title_md: NDArray[Any],
        visual_md: NDArray[Any],
        step: int,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Take in new silent videos, encoded at `step`; a refresh under way has them staged already.

        Raises:
            ValueError: before the first swap, an id that is there, attributes of an unknown one, or wrong vectors.
        """
        if self._refreshed_at == NEVER:
            raise ValueError("bank: videos are added only after the first refresh; a new bank names its own")
        _check_known(attributes or {}, ids)
        fresh = self._joined(title_md, visual_md, len(ids))
        places = self._rows.append(ids, fresh)
        self._computed_at_n = np.concatenate([self._computed_at_n, np.full(len(ids), step)])
        self._shadow.append(fresh, step)
        self._describe(attributes or {})
        self._written(places)

    def remove(self, ids: Iterable[str]) -> None:
        """Forget videos: their vectors, staged or not, and what is known of them.

        Raises:
            ValueError: an id that is not there.
        """
        kept_n = self._rows.drop(ids)
        self._computed_at_n = self._computed_at_n[kept_n]
        self._shadow.keep(kept_n)
        self._attributes = {video_id: words for video_id, words in self._attributes.items() if video_id in self}
        for searcher in self._searchers.values():
            searcher.removed(kept_n)

    def rows_to_refresh(self, budget: int) -> tuple[str, ...]:
        """Whose turn it is to be encoded anew: the `budget` oldest rows, of equally old ones the earlier."""
        return self._oldest(np.arange(len(self)), budget)

    def rows_to_stage(self, budget: int) -> tuple[str, ...]:
        """The same among the rows that are not staged yet."""
        return self._oldest(np.flatnonzero(~self._shadow.staged_n), budget)

    def stage(self, ids: Sequence[str], title_md: NDArray[Any], visual_md: NDArray[Any], step: int) -> None:
        """Put rows computed at `step` into the shadow, where no search sees them before `swap`.

        Raises:
            ValueError: an unknown or repeated id, a wrong shape, values that are not finite.
        """
        self._shadow.put(self._places(ids), self._joined(title_md, visual_md, len(ids)), step)

    def swap(self, step: int, k: int = 10) -> Agreement | None:
        """Let the shadow, which must be full, take the place of the bank; a row written back since it was staged stays.

        Returns:
            How the stale rows agree with the fresh ones, with overlaps of `k` neighbours; None at the first swap.

        Raises:
            ValueError: rows are not staged yet.
        """
        missing = int((~self._shadow.staged_n).sum())
        if missing:
            raise ValueError(f"bank: {missing} of {len(self)} rows are not staged; stage all before swap()")
        stale_ne = self._rows.table_nd
        fresh_ne, self._computed_at_n = self._shadow.newest(stale_ne, self._computed_at_n)
        agreement = None if self._refreshed_at == NEVER else compare(stale_ne, fresh_ne, self._dim, k)
        self._rows, self._shadow = Rows(self.ids, fresh_ne), Shadow(len(self), 2 * self._dim)
        self._searchers.clear()
        self._refreshed_at, self._version = step, self._version + 1
        return agreement

    def refresh(self, title_nd: NDArray[Any], visual_nd: NDArray[Any], step: int, k: int = 10) -> Agreement | None:
        """Replace all rows, in row order: stage them and swap; from the first time on the bank can be searched.

        Raises:
            ValueError: a wrong shape or values that are not finite.
        """
        self.stage(self.ids, title_nd, visual_nd, step)
        return self.swap(step, k)

    def agreement(self, ids: Sequence[str], title_md: NDArray[Any], visual_md: NDArray[Any], k: int = 10) -> Agreement:
        """How rows of the bank agree with fresh vectors of the same videos, of which neighbours are looked for.

        Raises:
            ValueError: an unknown or repeated id, a wrong shape, values that are not finite.
        """
        fresh = self._joined(title_md, visual_md, len(ids)).astype(np.float16)
        return compare(self._rows.table_nd[self._places(ids)], fresh, self._dim, k)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that training changes, as plain tensors (no ids: they belong to the corpus)."""
        arrays = {name: torch.from_numpy(np.array(array)) for name, array in self._arrays().items()}
        rows_ne = arrays.pop("rows_ne")
        title_nd, visual_nd = rows_ne[:, : self._dim].clone(), rows_ne[:, self._dim :].clone()
        return {"title_nd": title_nd, "visual_nd": visual_nd, **arrays}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave.

        Raises:
            ValueError: the state is of a bank of another size, or not one.
        """
        missing = {"title_nd", "visual_nd", *_ARRAYS} - {"rows_ne"} - set(state)
        if missing:
            raise ValueError(f"bank: expected {sorted(missing)[0]!r} in its state; another version wrote it")
        expected, found = [len(self), self._dim], list(state["title_nd"].shape)
        if found != expected:
            raise ValueError(f"bank: expected state of shape {expected}, found {found}")
        arrays = {name: tensor.numpy().copy() for name, tensor in state.items()}
        arrays["rows_ne"] = np.concatenate([arrays.pop("title_nd"), arrays.pop("visual_nd")], axis=1)
        self._take(arrays)

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, so that a reader sees either the old or the new bank, whole."""
        facts = {"ids": self.ids, "attributes": self._attributes, "config": asdict(self.config)}
        write_folder(folder, _NAME, facts, self._arrays())

    @classmethod
    def load(cls, folder: Path, config: VectorConfig | None = None) -> KnowledgeBank:
        """Read what `save` wrote; its rows are mapped, and changes stay in memory.

        Args:
            folder: where it was saved.
            config: how to search it, where not as it was saved.

        Raises:
            ValueError: no bank there, one of another version, or files that do not fit each other.
        """
        maybe = [f"{key}.{name}" for key in get_args(Key) for name in STATE]
        head, arrays = read_folder(folder, _NAME, ("ids", "attributes", "config"), _ARRAYS, maybe)
        try:
            saved = VectorConfig(**head["config"])
            bank = cls(arrays["rows_ne"].shape[1] // 2, head["ids"], head["attributes"], config or saved)
            kept = _ARRAYS if config is not None and not same_structure(config, saved) else arrays
            bank._take({name: arrays[name] for name in kept})
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{folder / _NAME}.json: {error}; save the bank again") from error
        return bank

    def _arrays(self) -> dict[str, NDArray[Any]]:
        structures = {
            f"{key}.{name}": array
            for key, searcher in self._searchers.items()
            for name, array in searcher.state().items()
        }
        counters = np.array([self._version, self._refreshed_at], np.int64)
        shadow = self._shadow
        staged = (shadow.rows_ne, shadow.staged_n, shadow.staged_at_n)
        own = (self._rows.table_nd, self._computed_at_n, *staged, counters)
        return {**dict(zip(_ARRAYS, own, strict=True)), **structures}

    def _take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        rows_ne, computed_at_n, *staged, counters = (arrays[name] for name in _ARRAYS)
        shadow, shape = Shadow(0, 0), (len(self), 2 * self._dim)
        shadow.rows_ne, shadow.staged_n, shadow.staged_at_n = staged
        if rows_ne.shape != shape or computed_at_n.shape != shape[:1] or not shadow.fits(*shape):
            raise ValueError(f"bank: expected the state of {len(self)} videos of width {self._dim}")
        self._rows, self._computed_at_n, self._shadow = Rows(self.ids, rows_ne), computed_at_n, shadow
        self._version, self._refreshed_at = counters.tolist()
        self._searchers.clear()
        for key in get_args(Key):
            structure = {name: arrays[f"{key}.{name}"] for name in STATE if f"{key}.{name}" in arrays}
            if structure:
                self._searcher(key).restore(structure)

    def _searcher(self, key: Key) -> Searcher:
        if key not in self._searchers:
            self._searchers[key] = build_searcher(self.config)
        return self._searchers[key]

    def _columns(self, key: Key) -> NDArray[Any]:
        """The vectors that a key compares with. With both side by side a product with twice the query is their mean."""
        table_ne = self._rows.table_nd
        return {"title": table_ne[:, : self._dim], "visual": table_ne[:, self._dim :], "mean": table_ne}[key]

    def _written(self, places: NDArray[np.int64]) -> None:
        for key, searcher in self._searchers.items():
            searcher.written(self._columns(key), places)

    def _places(self, ids: Sequence[str]) -> NDArray[np.int64]:
        unknown = [video_id for video_id in ids if video_id not in self]
        if unknown or len(set(ids)) != len(ids):
            raise ValueError(f"ids: expected distinct videos of the bank, found {unknown[:1] or 'one twice'}")
        return self._rows.places(ids)

    def _joined(self, title_md: NDArray[Any], visual_md: NDArray[Any], rows: int) -> NDArray[np.float32]:
        """Both vectors of each row side by side [m, e], each of length one."""
        for name, vectors in (("title", title_md), ("visual", visual_md)):
            if vectors.shape != (rows, self._dim) or not np.isfinite(vectors).all():
                expected = [rows, self._dim]
                raise ValueError(f"bank: expected finite {name} vectors {expected}, found {list(vectors.shape)}")
        return np.concatenate([_unit(title_md), _unit(visual_md)], axis=1)

    def _oldest(self, among: NDArray[np.int64], budget: int) -> tuple[str, ...]:
        order = np.argsort(self._computed_at_n[among], kind="stable")[: max(budget, 0)]
        return self._rows.names(among[order][None])[0]

    def _describe(self, attributes: Mapping[str, Mapping[str, str]]) -> None:
        _check_known(attributes, self._rows)
        self._attributes.update({video_id: dict(words) for video_id, words in attributes.items()})


def _check_known(attributes: Mapping[str, Mapping[str, str]], ids: Container[str]) -> None:
    unknown = sorted(video_id for video_id in attributes if video_id not in ids)
    if unknown:
        raise ValueError(f"attributes: {unknown[0]!r} is not a video of the bank")


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    rows = np.asarray(vectors, np.float32)
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return unit
