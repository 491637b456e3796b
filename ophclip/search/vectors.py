"""The catalogue's vectors as FAISS reads them."""

from __future__ import annotations

from pathlib import Path

from ophclip.search.catalogue import Catalogue, Table
from retrieval_index.vectors import VectorIndex

TABLES: tuple[Table, ...] = ("windows", "videos")


def vectors_of(catalogue: Catalogue, table: Table, folder: Path) -> VectorIndex:
    """The vector index saved in `folder` if it holds what the catalogue does, else one made from the catalogue.

    A run that was cut short leaves an older one behind.
    """
    if (folder / "vectors.json").is_file():
        index = VectorIndex.load(folder)
        if index.ids == catalogue.vector_ids(table):
            return index
    return made_vectors(catalogue, table)


def made_vectors(catalogue: Catalogue, table: Table) -> VectorIndex:
    """The vector index of everything in the catalogue, which must hold a video."""
    ids, vectors_nd = catalogue.vectors(table)
    return VectorIndex(vectors_nd.shape[1], ids, vectors_nd)
