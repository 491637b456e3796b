"""Prompts: what is said about a class, in several styles, by whom and when.

A YAML file holds `prompts: {author, date, about}` and `classes: {label: {synonyms, name, narration, description}}`. A
plain text file holds one sentence per line; the order of lines is the order of classes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ingest.parsing import parse_yaml
from ophclip.evaluation.tables import read_text


class Style(StrEnum):
    """How a sentence speaks of a class; the ensemble averages the normalised embeddings of all styles' sentences."""

    NAME = "name"
    NARRATION = "narration"
    DESCRIPTION = "description"
    ENSEMBLE = "ensemble"


WRITTEN_STYLES = (Style.NAME, Style.NARRATION, Style.DESCRIPTION)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptClass:
    """One class: its label, other names by which datasets and people call it, and its sentences by style."""

    label: str
    synonyms: tuple[str, ...]
    name: tuple[str, ...]
    narration: tuple[str, ...]
    description: tuple[str, ...]

    def sentences(self, style: Style) -> tuple[str, ...]:
        """The sentences of one style, or of all of them."""
        if style is Style.ENSEMBLE:
            return self.name + self.narration + self.description
        return {Style.NAME: self.name, Style.NARRATION: self.narration, Style.DESCRIPTION: self.description}[style]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptSet:
    """All classes of one dataset, in order, with author and date."""

    name: str
    author: str
    date: str
    classes: tuple[PromptClass, ...]
    by_order: bool = False
    """Whether line n of a text file belongs to class n of a dataset, as the field's existing tools write it."""

    @property
    def sha256(self) -> str:
        """Hash of labels and sentences, for results."""
        lines = (
            f"{entry.label}\t{style.value}\t{text}"
            for entry in self.classes
            for style in WRITTEN_STYLES
            for text in entry.sentences(style)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def styles(self) -> tuple[Style, ...]:
        """Styles in which every class has a sentence, the ensemble last."""
        written = tuple(style for style in WRITTEN_STYLES if all(entry.sentences(style) for entry in self.classes))
        return (*written, Style.ENSEMBLE)

    def for_labels(self, labels: Sequence[str], *, distinct: bool = False) -> PromptSet:
        """One class per dataset label, in the dataset's order, found by name or synonym.

        Case, punctuation and underscores do not matter. Several labels may share a class unless `distinct`: then
        nothing could tell them apart. The sentences of a text file are taken by their order instead.

        Raises:
            ValueError: labels that no class answers to, all of them named, two that share one against `distinct`, or
                a text file with more or fewer sentences than labels.
        """
        if self.by_order:
            return self._in_order(labels)
        answers = {key: entry for entry in self.classes for key in _keys(entry)}
        unknown = [label for label in labels if normal(label) not in answers]
        if unknown:
            raise ValueError(
                f"prompts {self.name}: no class for the label{'s' if len(unknown) > 1 else ''} "
                f"{', '.join(map(repr, unknown))}; add each to the prompts file as a class or a synonym"
            )
        owner: dict[str, str] = {}
        for label in labels if distinct else ():
            entry = answers[normal(label)]
            if owner.setdefault(entry.label, label) != label:
                raise ValueError(
                    f"prompts {self.name}: {owner[entry.label]!r} and {label!r} are one class; split it in two"
                )
        chosen = (replace(answers[normal(label)], label=label) for label in labels)
        return replace(self, classes=tuple(chosen))

    def _in_order(self, labels: Sequence[str]) -> PromptSet:
        if len(self.classes) != len(labels):
            raise ValueError(
                f"prompts {self.name}: {len(self.classes)} sentences for {len(labels)} classes; expected one a line, "
                f"in the order {', '.join(labels)}"
            )
        paired = zip(self.classes, labels, strict=True)
        return replace(self, classes=tuple(replace(entry, label=label) for entry, label in paired), by_order=False)

    def named_in(self, text: str) -> PromptClass | None:
        """The class whose name or synonym stands in a text as whole words; of several the longest name wins."""
        padded = f" {normal(text)} "
        found = [(len(key), entry) for entry in self.classes for key in _keys(entry) if f" {key} " in padded]
        return max(found, key=lambda item: item[0])[1] if found else None


def normal(text: str) -> str:
    """Lower case, with every run of other signs than letters and digits, of any script, as one space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", folded).strip() or folded.strip()


def _keys(entry: PromptClass) -> set[str]:
    return {normal(text) for text in (entry.label, *entry.name, *entry.synonyms)}


def builtin_prompts(name: str) -> PromptSet:
    """Prompts shipped with the package, such as `cataract101` or `instruments`.

    Raises:
        ValueError: there is no such file.
    """
    folder = resources.files("ophclip.evaluation") / "prompts"
    entry = folder / f"{name}.yaml"
    if not entry.is_file():
        known = sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
        raise ValueError(f"no prompts named {name!r}; expected a file, or one of {', '.join(known)}")
    return _parse_yaml(name, entry.read_text(encoding="utf-8"))


def load_prompts(spec: str | Path) -> PromptSet:
    """Prompts from a `.yaml` or text file, or a shipped set by name.

    Raises:
        ValueError: no such file or name, or the file does not hold prompts; one line with the remedy.
    """
    path = Path(spec)
    if path.is_file():
        text = read_text(path)
        return _parse_yaml(str(path), text) if path.suffix in (".yaml", ".yml") else _parse_lines(str(path), text)
    if path.suffix:
        raise ValueError(f"{path}: expected a prompts file and it is not there")
    return builtin_prompts(str(spec))


def _parse_lines(name: str, text: str) -> PromptSet:
    sentences = [line.strip() for line in text.splitlines() if line.strip()]
    if not sentences:
        raise ValueError(f"{name}: no sentence in the file; expected one per line, in the order of the classes")
    if len(set(map(normal, sentences))) != len(sentences):
        raise ValueError(f"{name}: a sentence stands there twice; every class needs its own")
    classes = (PromptClass(label=line, synonyms=(), name=(line,), narration=(), description=()) for line in sentences)
    return PromptSet(name=name, author="", date="", classes=tuple(classes), by_order=True)


def _parse_yaml(name: str, text: str) -> PromptSet:
    try:
        tree = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError(
            f"{name}: not YAML ({str(error).splitlines()[0]}); expected `classes:` with sentences"
        ) from error
    if not isinstance(tree, dict) or not isinstance(tree.get("classes"), dict) or not tree["classes"]:
        raise ValueError(f"{name}: expected `classes:` with an entry per class")
    about = tree.get("prompts") or {}
    classes = tuple(_parse_class(name, str(label), entry) for label, entry in tree["classes"].items())
    _refuse_shared_keys(name, classes)
    return PromptSet(name=name, author=str(about.get("author", "")), date=str(about.get("date", "")), classes=classes)


def _parse_class(name: str, label: str, entry: Any) -> PromptClass:
    allowed = {"synonyms", *(style.value for style in WRITTEN_STYLES)}
    if not isinstance(entry, dict) or set(entry) - allowed:
        raise ValueError(f"{name}: class {label!r} must hold lists under {', '.join(sorted(allowed))} and nothing else")
    lists: dict[str, tuple[str, ...]] = {}
    for key in sorted(allowed):
        values = entry.get(key) or []
        if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
            raise ValueError(f"{name}: {key} of class {label!r} must be a list of sentences")
        lists[key] = tuple(value.strip() for value in values)
    if not any(lists[style.value] for style in WRITTEN_STYLES):
        raise ValueError(f"{name}: class {label!r} has no sentence")
    return PromptClass(label=label, **lists)


def _refuse_shared_keys(name: str, classes: Iterable[PromptClass]) -> None:
    owner: dict[str, str] = {}
    for entry in classes:
        for key in _keys(entry):
            if owner.setdefault(key, entry.label) != entry.label:
                raise ValueError(
                    f"{name}: {key!r} names both {owner[key]!r} and {entry.label!r}; it must name one class"
                )
