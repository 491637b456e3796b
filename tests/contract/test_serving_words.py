"""What the service says when it refuses: one line, what it is, and after a semicolon what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_PLACES = {"RefusedError": 1, "refusal": 1, "busy": 0}
"""Which argument of a call is told to a client."""
_OWN_REMEDY = {"too many requests are under way", "the encoder has too much to do"}
"""`busy` tells these when to come again."""


def told(tree: ast.AST) -> Iterator[str]:
    """The words of every refusal whose words stand where it is made."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _PLACES:
            words = call.args[_PLACES[call.func.id]]
            parts = words.values if isinstance(words, ast.JoinedStr) else [words]
            constants = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            if any(map(str.isalpha, constants)):
                yield constants


def test_every_refusal_says_what_to_do(repository: Path) -> None:
    files = sorted((repository / "ophclip" / "serving").rglob("*.py"))
    words = {one for path in files for one in told(ast.parse(path.read_text(encoding="utf-8")))}
    assert len(words) > 15
    assert {one for one in words if "; " not in one} == _OWN_REMEDY
    assert not [one for one in words if "\n" in one]
