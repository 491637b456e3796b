"""The page on evaluation names every rule that results can have."""

from __future__ import annotations

from pathlib import Path

from ophclip.evaluation.protocols import PROTOCOLS

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_every_protocol_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in PROTOCOLS if f"| `{name}` |" not in text] == []
