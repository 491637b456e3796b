"""Options of what is looked at while training goes on. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

TITLES = "titles"
"""Name of the question: does a title of a held-out corpus find its video?"""
NARRATIONS = "narrations"
"""And: does a narration find its clip?"""


@dataclass(kw_only=True, slots=True)
class ValidationSet:
    """One thing that is measured."""

    name: str = MISSING
    """Of your own; rows of `metrics.csv` bear it as their level."""
    dataset: str = MISSING
    """What is held out: labelled videos, as for `ophclip zeroshot`, or `titles` or `narrations` of a corpus."""
    root: str = MISSING
    """Folder of the dataset or corpus, or the table."""
    videos: list[str] = field(default_factory=list)
    """Of tables: folders with the videos, if they do not lie beside it."""
    split: str = ""
    """Of labelled videos: the part to take, such as `val`; empty takes all."""
    prompts: str = ""
    """Of labelled videos: prompts file or shipped set; empty takes the dataset's own."""


@dataclass(kw_only=True, slots=True)
class ValidationConfig:
    """Recognition and retrieval on held-out videos while training goes on; nothing is chosen by it."""

    sets: list[ValidationSet] = field(default_factory=list)
    """What is measured: `validation.sets=[{name: phases, dataset: cataract101, root: FOLDER}]`. Nothing by default."""
    every: int = 1000
    """Steps between validations; the last step is always validated."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError("validation.every: must be at least 1")
        names = [one.name for one in self.sets]
        for name in names:
            if name in {"clip", "video"} or names.count(name) > 1:
                raise ValueError(
                    f"validation.sets: {name!r} names a level of training or another set; give another name"
                )
