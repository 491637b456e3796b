"""Where the manifest of a corpus lies: beside the shards, or in a database whose address stands there."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import make_url

from ingest import atomic
from ingest.database import plain_address
from ingest.manifest import MANIFEST_NAME, Manifest

ADDRESS_NAME = "manifest.address"
"""File of a corpus whose manifest lies in a database: its address, without the password."""
VARIABLE = "OPHCLIP_MANIFEST"
"""Environment variable with the address for new corpora."""


def manifest_place(corpus: Path) -> Path | str:
    """The manifest's file or address; of a corpus that has none, the file it would be."""
    told = corpus / ADDRESS_NAME
    return told.read_text(encoding="utf-8").strip() if told.is_file() else corpus / MANIFEST_NAME


def has_manifest_at(corpus: Path) -> bool:
    """Whether a folder is a corpus with a manifest, wherever that lies."""
    place = manifest_place(corpus)
    return isinstance(place, str) or place.is_file()


def choose_place(corpus: Path, given: str, *, variable: str = VARIABLE) -> Path | str:
    """Where an ingest finds or makes the manifest: `given` is the option `manifest`, empty for what is there, or for
    what an environment variable says of new ones.

    Raises ValueError in one line if the corpus has its manifest elsewhere, or the database is another corpus's.
    """
    settled = (corpus / ADDRESS_NAME).is_file() or (corpus / MANIFEST_NAME).exists()
    given = given or ("" if settled else os.environ.get(variable, ""))
    if not given:
        return manifest_place(corpus)
    plain = plain_address(given)
    if plain != given and (password := make_url(given).password):
        os.environ["PGPASSWORD"] = password  # for all of this run and its workers, which know the plain address
    if not settled:
        _take(corpus, given, plain)
    elif manifest_place(corpus) != plain:
        raise ValueError(f"manifest: {corpus} has its own at {manifest_place(corpus)}: leave the option out")
    return given


def _take(corpus: Path, given: str, plain: str) -> None:
    with Manifest(given) as manifest:
        if manifest.videos():
            raise ValueError(f"manifest: {plain} holds another corpus: make a database for {corpus}")
    atomic.write_text(corpus / ADDRESS_NAME, plain + "\n")
