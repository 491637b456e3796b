"""What was purged and must not come back: CORPUS/purged.jsonl, and the same beside an index.

One line a purge, without content: who signed it off, when and why, hashes, counts. Every line holds the hash of the one
before it and its own, so that a line that was changed, taken out or put in shows. Lines cut off at the end do not:
whoever must prove that none was keeps the hash of the last line elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ingest import atomic

LEDGER_NAME = "purged.jsonl"
INTENT_NAME = ".purging.json"
"""What a purge that has not ended yet set out to do; it names the video and is removed with the rest."""
_FIRST = "0" * 64
_VERSION = 1


def append_record(folder: Path, facts: Mapping[str, Any]) -> str:
    """Add a line, unless one of the same `purge` stands there; returns the hash of the line.

    Raises:
        ValueError: the lines that are there are not as they were written.
    """
    lines = read_ledger(folder)
    for line in lines:
        if line["purge"] == facts["purge"]:
            return str(line["sha256"])
    content = {"version": _VERSION, **facts, "previous": lines[-1]["sha256"] if lines else _FIRST}
    digest = _hash(content)
    text = "".join(_line(one) for one in (*lines, {**content, "sha256": digest}))
    atomic.write_text(folder / LEDGER_NAME, text)
    return digest


def read_ledger(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """All lines in order; none where nothing was ever purged.

    Raises:
        ValueError: one line that names the first that is not as it was written.
    """
    path = folder / LEDGER_NAME
    if not path.is_file():
        return ()
    lines: list[Mapping[str, Any]] = []
    previous = _FIRST
    for number, text in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
        try:
            line = json.loads(text)
            digest = _hash({key: value for key, value in line.items() if key != "sha256"})
            held = line["version"] == _VERSION and (line["previous"], line["sha256"]) == (previous, digest)
        except (ValueError, KeyError, AttributeError):
            held = False
        if not held:
            raise ValueError(
                f"{path}, line {number}: not as it was written (the chain of hashes is broken): restore the file from "
                "a copy; without it purged videos could come back"
            )
        previous = line["sha256"]
        lines.append(line)
    return tuple(lines)


def purged_contents(folders: Iterable[Path]) -> dict[str, str]:
    """Why the bytes of a file may not come in again, by their SHA-256.

    Raises:
        ValueError: a ledger that was changed, or a purge that has not ended.
    """
    found: dict[str, str] = {}
    for folder in folders:
        if (folder / INTENT_NAME).exists():
            raise ValueError(f"{folder}: a purge has not ended; run the same `ophclip purge` again to complete it")
        for line in read_ledger(folder):
            told = f"purged on {line['when'][:10]}, signed off by {line['signed_off_by']}: {line['reason']}"
            found |= dict.fromkeys(line["content_sha256"], told)
    return found


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False) + "\n"


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_line(content).encode("utf-8")).hexdigest()
