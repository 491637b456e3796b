"""From a window's score to the probability that the instrument asked for is seen: INDEX/calibration.json.

`ophclip calibrate` learns it from windows that are labelled; a curve of two numbers an instrument (Platt, 1999).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.atomic import write_json
from ophclip.search.queries import query_wordings

CALIBRATION_NAME = "calibration.json"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Platt:
    """probability = 1 / (1 + exp(-(slope · cosine + intercept)))."""

    slope: float
    intercept: float

    def probability(self, score: float) -> float:
        """Of a window with this cosine."""
        exponent = self.slope * score + self.intercept
        return 1 / (1 + math.exp(-exponent)) if exponent > -700 else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """How good probabilities are; each window was judged by curves that were fitted without its video."""

    ece: float
    """Expected calibration error, 15 bins of equal width."""
    brier: float
    """Mean squared error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """Windows of videos that a curve was not fitted on, three ways."""

    before: Judged
    """The cosine itself, as if it were a probability."""
    base_rate: Judged
    """The instrument's share of windows in the other videos: what is known without looking."""
    after: Judged


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """What is known of one instrument."""

    curve: Platt
    pooled: bool
    """Whether it has too few labels of its own, so that the curve is that of all instruments together."""
    positives: int
    negatives: int
    sentences_sha256: str
    """Of what the instrument's name is searched by; other sentences give other scores."""
    held_out: HeldOut


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """All of `calibration.json`; `dataset`, `license` and `labels_sha256` say what it was learned from."""

    weights_sha256: str
    window_seconds: float
    dataset: str
    license: str
    labels_sha256: str
    videos: int
    folds: int
    held_out: HeldOut
    """Over all instruments."""
    instruments: Mapping[str, Instrument]
    left_out: tuple[str, ...]
    """Labels that name no instrument of the lexicon, or that are always or never there."""

    def probability(self, label: str | None, score: float) -> float | None:
        """That an instrument is seen in a window with this cosine; None if nothing is known of it."""
        known = None if label is None else self.instruments.get(label)
        if label is None or known is None or known.sentences_sha256 != sentences_sha256(label):
            return None
        return known.curve.probability(score)


def sentences_sha256(label: str) -> str:
    """Of the sentences that an instrument is searched by."""
    return hashlib.sha256(json.dumps(query_wordings(label)).encode()).hexdigest()


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write it into an index folder, whole or not at all."""
    path = folder / CALIBRATION_NAME
    write_json(path, {"format": _FORMAT, **asdict(calibration)})
    return path


def read_calibration(folder: Path, weights_sha256: str) -> Calibration | None:
    """What was learned for an index; None if nothing was.

    Raises:
        ValueError: it is damaged, of another version, or of other weights.
    """
    path = folder / CALIBRATION_NAME
    if not path.is_file():
        return None
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        version = tree.pop("format")
        calibration = _of_tree(tree)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a calibration ({error}); make it anew with `ophclip calibrate`") from error
    if version != _FORMAT or calibration.weights_sha256 != weights_sha256:
        raise ValueError(f"{path}: of another version or other weights; make it anew with `ophclip calibrate`")
    return calibration


def _of_tree(tree: dict[str, Any]) -> Calibration:
    instruments = {
        label: Instrument(**{**one, "curve": Platt(**one["curve"]), "held_out": _held_out(one["held_out"])})
        for label, one in tree["instruments"].items()
    }
    rest = {"held_out": _held_out(tree["held_out"]), "left_out": tuple(tree["left_out"])}
    return Calibration(**{**tree, **rest, "instruments": instruments})


def _held_out(tree: Mapping[str, Any]) -> HeldOut:
    return HeldOut(**{name: Judged(**figures) for name, figures in tree.items()})
