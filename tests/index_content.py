"""All that an index holds, to compare it with another's."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from ophclip.search.catalogue import CATALOGUE_NAME


def index_content(folder: Path) -> dict[str, bytes]:
    """Every byte of an index folder; files that have random names are called by what they are."""
    found = {}
    for path in folder.rglob("*"):
        if path.name == "spans.json":
            head = json.loads(path.read_text())
            names = {key: value for key, value in head.items() if str(value).endswith(".npy")}
            found |= {f"{path.parent.name}/{key}": (path.parent / name).read_bytes() for key, name in names.items()}
            found[f"{path.parent.name}/facts"] = json.dumps({**head, **dict.fromkeys(names, "")}).encode()
        elif path.is_file() and path.suffix != ".npy":
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def index_rows(folder: Path) -> dict[str, bytes]:
    """As `index_content`, without what SQLite counts in its header: how often something was written."""
    with closing(sqlite3.connect(folder / CATALOGUE_NAME)) as connection:
        dump = "\n".join(connection.iterdump()).encode()
    return {**index_content(folder), CATALOGUE_NAME: dump}
