"""A probe that was written before, and what its predictions say when its figures are computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.parsing import parse_json
from ophclip.evaluation.probes.budgets import Budget
from ophclip.evaluation.probes.cells import Cell, Truth, read_cells, read_truth
from ophclip.evaluation.probes.figures import Header, Line, lines_of, result_tree
from ophclip.evaluation.probes.run import RESULT_NAME
from ophclip.evaluation.receipts import read_receipt


def probe_file(place: Path) -> Path | None:
    """`probe_result.json` if that, or the folder of one, is meant."""
    path = place / RESULT_NAME if place.is_dir() else place
    return path if path.name == RESULT_NAME and path.is_file() else None


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenProbe:
    """A probe as it was written, with what its predictions say."""

    path: Path
    tree: Mapping[str, Any]
    header: Header
    truth: Truth
    lines: tuple[Line, ...]

    @property
    def own(self) -> tuple[Line, ...]:
        """The lines of the model that was probed, without those that it was compared with."""
        return tuple(line for line in self.lines if line.model == self.lines[0].model)


def written_and_found(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The result as it was written, and computed again from the predictions of every training set beside it.

    What does not follow from those is taken as it was written: the provenance, and that the heads were trained as it
    says; the same command into another folder trains them again. Raises as `read_probe`.
    """
    found = read_probe(path)
    return found.tree, result_tree(found.header, found.truth, found.lines)


def read_probe(path: Path) -> WrittenProbe:
    """Read `probe_result.json` and the predictions of every training set beside it.

    Raises:
        ValueError: a file is missing, or is no result of this version.
    """
    out = path.parent
    try:
        tree = parse_json(path.read_text(encoding="utf-8"))
        receipt = read_receipt(tree).to_json()
        header = Header(provenance=tree["provenance"], classes=tuple(tree["classes"]), receipt=receipt)
        cells = [cell for row in tree["figures"] for cell in _cells(row)]
        truth = read_truth(out)
        lines = lines_of(list(read_cells(out, cells)), truth, len(header.classes))
        return WrittenProbe(path=path, tree=tree, header=header, truth=truth, lines=lines)
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: not a probe of this version of ophclip ({error!r}); run it again") from error


def _cells(row: Mapping[str, Any]) -> list[Cell]:
    budget = Budget(videos=row["videos"] or 0, shots=row["shots"] or 0)
    return [Cell(model=row["model"], head=row["head"], budget=budget, draw=draw) for draw in range(row["draws"])]
