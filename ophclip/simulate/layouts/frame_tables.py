"""Datasets with a row per frame: Cataract-21, CATARACTS, Cholec80, AutoLaparo, and presence second by second.

The owners' videos have 25 or 30 frames a second; frames are counted at that rate by presentation time, whatever the
rate of the simulated video.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ophclip.evaluation.datasets.cat21 import FPS as CAT21_FPS
from ophclip.evaluation.datasets.cat21 import LAST_OF_TRAINING
from ophclip.evaluation.datasets.cataracts import FPS as CATARACTS_FPS
from ophclip.evaluation.datasets.cataracts import STEPS, TOOLS
from ophclip.evaluation.datasets.frame_tables import FPS as TABLE_FPS
from ophclip.simulate.language import Instrument, PhaseName, Verb
from ophclip.simulate.layouts.labels import AUTOLAPARO, CAT21, CATARACTS, CATARACTS_TOOLS, CHOLEC80, Verbs, by_verb
from ophclip.simulate.layouts.segment_lists import films
from ophclip.simulate.layouts.takes import (
    Content,
    Film,
    Span,
    Take,
    Tree,
    action_spans,
    dealt,
    label_at,
    phase_spans,
    table,
)

INSTRUMENTS = tuple(instrument.value for instrument in Instrument)
CATARACTS_STEPS = {"train": "train", "dev": "test", "test": "test"}
"""How the owners call the videos of each folder; their development videos were of the test part once."""


def frames(take: Take, fps: float) -> Iterator[tuple[int, float]]:
    """Number, from 0, and second of every frame at a rate."""
    for index in range(int(take.duration_seconds * fps - 1e-6) + 1):
        yield index, index / fps


def cat21(takes: Sequence[Take]) -> Tree:
    """A German label for every frame; cases 18 and up are for testing."""
    tree: dict[str, Content] = {}
    numbers = {"test": LAST_OF_TRAINING, "train": 0}
    for split, take in dealt(takes, ("test", "train")):
        numbers[split] += 1
        name = f"case_{numbers[split]:02d}"
        spans = [
            *action_spans(take, {Verb.GIVE_ANTIBIOTIC: "Antibiotikum"}),
            *((start, end, CAT21[PhaseName(label)]) for start, end, label in phase_spans(take)),
        ]
        rows = ((index, label_at(spans, second) or "not_initialized") for index, second in frames(take, CAT21_FPS))
        tree |= {f"labels/{name}.csv": table((), rows), f"videos/{name}.mp4": Film(take)}
    return tree


def cataracts(takes: Sequence[Take]) -> Tree:
    """The number of the step of every frame, counted from 1."""
    tree: dict[str, Content] = {}
    for split, name, take in _cataracts_names(takes):
        spans = action_spans(take, by_verb(CATARACTS))
        rows = (
            (index + 1, STEPS.index(label_at(spans, second) or "Idle")) for index, second in frames(take, CATARACTS_FPS)
        )
        tree[f"ground_truth/CATARACTS_2020/{split}_gt/{name}.csv"] = table(("Frame", "Steps"), rows)
        tree[f"videos/micro/{name}.mp4"] = Film(take)
    return tree


def cataracts_tools(takes: Sequence[Take]) -> Tree:
    """The tools of every frame, counted from 1."""
    tree: dict[str, Content] = {}
    for split, name, take in _cataracts_names(takes):
        rows = []
        for index, second in frames(take, CATARACTS_FPS):
            shown = {CATARACTS_TOOLS.get(item.instrument) for item in take.scene.seen(second)}
            rows.append((index + 1, *(int(tool in shown) for tool in TOOLS)))
        tree[f"ground_truth/CATARACTS_2018/images/micro_{split}_gt/{name}.csv"] = table(("Frame", *TOOLS), rows)
        tree[f"videos/micro/{name}.mp4"] = Film(take)
    return tree


def _cataracts_names(takes: Sequence[Take]) -> Iterator[tuple[str, str, Take]]:
    """Folder and name of every video."""
    for number, (split, take) in enumerate(dealt(takes, ("test", "train", "dev")), start=1):
        yield split, f"{CATARACTS_STEPS[split]}{number:02d}", take


def cholec80(takes: Sequence[Take]) -> Tree:
    """Frames under the few phases that operations of the eye have as well."""
    return _by_path(takes, CHOLEC80, "video{:02d}")


def autolaparo(takes: Sequence[Take]) -> Tree:
    """As `cholec80`."""
    return _by_path(takes, AUTOLAPARO, "{:02d}")


def _by_path(takes: Sequence[Take], verbs: Verbs, name: str) -> Tree:
    rows: Mapping[str, list[tuple[str, str]]] = {"test": [], "train": []}
    tree: dict[str, Content] = {}
    for number, (split, take) in enumerate(dealt(takes, ("test", "train")), start=1):
        video = name.format(number)
        spans = [_preparation(take), *action_spans(take, by_verb(verbs))]
        for index, second in frames(take, TABLE_FPS):
            if label := label_at(spans, second):
                rows[split].append((f"frames/{video}/{video}_{index:06d}.png", label))
        tree[f"videos/{video}.mp4"] = Film(take)
    return {**tree, **{f"{split}.csv": table(("path", "label"), lines) for split, lines in rows.items() if lines}}


def _preparation(take: Take) -> Span:
    return 0.0, take.case.program.phases[0].start_seconds, "Preparation"


def presence_table(takes: Sequence[Take]) -> Tree:
    """The world's own instruments at every second of every operation."""
    rows = []
    for take in takes:
        for second in take.whole_seconds:
            shown = {item.instrument.value for item in take.scene.seen(float(second))}
            rows.append((take.case.name, second, *(int(name in shown) for name in INSTRUMENTS)))
    return {"presence.csv": table(("video", "seconds", *INSTRUMENTS), rows), **films(takes)}
