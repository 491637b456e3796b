"""`ophclip report`: what was given is looked at before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.parsing import parse_json
from ophclip.evaluation.probes.reading import probe_file
from ophclip.evaluation.reading import read_tree


def write_report(places: Sequence[Path], out: Path) -> tuple[Path, ...]:
    """Write `out` (HTML) and the `.md` and `.tex` beside it; several results are compared with the first.

    Raises:
        ValueError: a result is not there, or two cannot be compared.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"report --out {out}: expected a name that ends in .html; .md and .tex are written beside it")
    results = [_result(place) for place in places]
    out.parent.mkdir(parents=True, exist_ok=True)
    from ophclip.evaluation.report.build import write_page

    return write_page(results, out)


def _result(place: Path) -> tuple[Path, dict[str, Any]]:
    """The file of a result, or of a probe, and what it holds."""
    path = probe_file(place)
    if path is None:
        return read_tree(place)
    try:
        return path, dict(parse_json(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a result of this version of ophclip ({error}); probe again") from error
