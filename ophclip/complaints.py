"""How a user is told of an error that ends a command: one line, with a remedy where the error itself has none."""

from __future__ import annotations

import sqlite3

from ingest.disk import SICK_DISK

_MAKE_ROOM = "make room or mend the disk, then run the same command again"


def one_line(error: Exception) -> str:
    """What went wrong; what the system and SQLite say gets its remedy here."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in SICK_DISK:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}cannot be written ({error.strerror}); {_MAKE_ROOM}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; give another path, or make this one readable and writable"
    if isinstance(error, sqlite3.OperationalError) and ("disk" in text or "readonly" in text):
        return f"a database cannot be written ({text}); {_MAKE_ROOM}"
    if isinstance(error, sqlite3.DatabaseError):
        return f"a database is damaged ({text}); make the index or corpus anew, or restore it"
    return text
