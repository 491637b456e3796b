"""The manifest as Parquet, one file a table, for whoever analyses a corpus with other tools."""

from __future__ import annotations

from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

from ingest import atomic
from ingest.entries import VideoRow
from ingest.status import open_corpus

TABLES = ("videos", "clips", "chapters", "rejections", "corrections", "evidence", "transcripts")
_NUMBERS = {"number": "int", "start_seconds": "float", "end_seconds": "float"}
_VIDEO_TYPES = {field.name: str(field.type).removesuffix(" | None") for field in fields(VideoRow)}


def export_parquet(corpus: Path, out: Path) -> tuple[Path, ...]:
    """Write every table of the manifest of `corpus` to `out/TABLE.parquet`, and return the files.

    Columns have the same types whatever they hold. Raises ValueError in one line if there is no corpus.
    """
    written = []
    with open_corpus(corpus) as manifest:
        for name in TABLES:
            columns, rows = manifest.table(name)
            path = out / f"{name}.parquet"
            atomic.write_bytes(path, _parquet(columns, rows))
            written.append(path)
    return tuple(written)


def _parquet(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    kinds = {"int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    arrays = []
    for place, column in enumerate(columns):
        kind = _NUMBERS.get(column) or _VIDEO_TYPES.get(column, "str")
        values = [row[place] for row in rows]
        values = [bool(value) for value in values] if kind == "bool" else values
        arrays.append(pyarrow.array(values, type=kinds.get(kind, pyarrow.string())))
    buffer = BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, names=list(columns)), buffer, compression="zstd")
    return buffer.getvalue()
