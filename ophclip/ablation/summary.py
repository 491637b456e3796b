"""`summarise(folder)`: the table, the plot and all figures of a sweep, written beside its runs."""

from __future__ import annotations

from pathlib import Path

from ingest.atomic import write_bytes, write_text
from ophclip.ablation.plot import plot
from ophclip.ablation.runs import REFERENCE, read_ablation
from ophclip.ablation.tables import figures_csv, markdown

NAME = "ablation"


def summarise(root: Path, reference: str = REFERENCE) -> Path:
    """Write `ablation.md`, `ablation.csv` and `ablation.png` into `root`; returns the first.

    Raises:
        ValueError: no finished run lies there, or runs that do not compare.
    """
    ablation = read_ablation(root)
    told = f"# Ablation\n\n{markdown(ablation, reference)}\n![Every variant, every seed]({NAME}.png)\n"
    write_bytes(root / f"{NAME}.png", plot(ablation, reference))
    write_text(root / f"{NAME}.csv", figures_csv(ablation))
    write_text(root / f"{NAME}.md", told)
    return root / f"{NAME}.md"
