"""Surgical terms as data: YAML files of canonical terms, how they are spoken and abbreviated, and where they come from.

Shipped: `ophthalmology` and `laparoscopy` (`ingest/lexicons/`); any other speciality is a file of the same form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ingest.options import Option


class Category(Option):
    """What kind of thing a term names."""

    PROCEDURE = "procedure"
    TECHNIQUE = "technique"
    PHASE = "phase"
    ACTION = "action"
    INSTRUMENT = "instrument"
    MEDICATION = "medication"
    ANATOMY = "anatomy"
    DISEASE = "disease"
    COMPLICATION = "complication"


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One term of a lexicon."""

    name: str
    """Canonical writing."""
    category: Category
    variants: tuple[str, ...] = ()
    """Other ways to say or write it."""
    abbreviations: tuple[str, ...] = ()
    """Matched with regard to case."""
    source: str = ""
    """Where the term comes from; the file's default if it names none of its own."""
    hot: bool = False
    """Whether the recogniser is prompted with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """A term as it stands in a text: `text[start:end]`."""

    term: Term
    start: int
    end: int
