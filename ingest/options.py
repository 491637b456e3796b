"""Choices among words: what an option's value in `conf/` and on the command line may be."""

from __future__ import annotations

from enum import EnumMeta, StrEnum
from typing import Any


class _ByWord(EnumMeta):
    """OmegaConf looks a value up among the names of an enum's members; this finds the words users write as well."""

    def __getitem__(cls, name: str) -> Any:
        members: dict[str, Any] = dict(cls.__members__)
        return {**members, **{str(member.value): member for member in members.values()}}[name]


class Option(StrEnum, metaclass=_ByWord):
    """An enum whose members are chosen by their value: `precision=bf16`."""
