"""Words of the commands."""

from __future__ import annotations

from enum import StrEnum


class Tool(StrEnum):
    """What hits are exported to, and labels read from."""

    FIFTYONE = "fiftyone"
    LABEL_STUDIO = "label-studio"
    CSV = "csv"


class LabelKind(StrEnum):
    """What a table of labels says."""

    PRESENCE = "presence"
    PHASES = "phases"
