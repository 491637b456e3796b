"""Datasets that list what happens from when to when: Cataract-101, Cataract-1K, OphNet, a table of your own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ophclip.simulate.language import CATARACT101_IDS, OPHNET_IDS, Procedure, Verb
from ophclip.simulate.layouts.labels import CATARACT1K, by_verb
from ophclip.simulate.layouts.takes import Film, Span, Take, Tree, action_spans, phase_spans, table

SURGERIES = {procedure: number for number, procedure in enumerate(Procedure)}
OPERATIONS = {verb: number for number, verb in enumerate(Verb)}
"""OphNet's own numbers have names in a spreadsheet that is not here; these are the world's own, named in tables."""

OPHNET_PHASES = "OphNet2024_loca_challenge_phase.csv"
_OPHNET_HEADER = ("video_id", "start", "end", "split", "surgery_id")


def films(takes: Iterable[Take]) -> dict[str, Film]:
    """The videos under their own names."""
    return {f"videos/{take.case.name}.mp4": Film(take) for take in takes}


def cataract101(takes: Sequence[Take]) -> dict[str, str]:
    """Tables of phase start frames."""
    rows = [(take.case.name.removeprefix("case_"), take.case) for take in takes]
    starts = [
        (name, round(phase.start_seconds * case.clock.mean_fps), CATARACT101_IDS[phase.name])
        for name, case in rows
        for phase in case.program.phases
    ]
    videos = [
        (name, len(case.clock.ticks), f"{case.clock.mean_fps:.6f}", case.program.surgeon.number,
         case.program.surgeon.experience)
        for name, case in rows
    ]  # fmt: skip
    names = [(number, name.value) for name, number in CATARACT101_IDS.items()]
    return {
        "annotations.csv": table(("VideoID", "FrameNo", "Phase"), starts, ";"),
        "videos.csv": table(("VideoID", "Frames", "FPS", "Surgeon", "Experience"), videos, ";"),
        "phases.csv": table(("Phase", "Meaning"), names, ";"),
    }


def ophnet(takes: Sequence[Take]) -> dict[str, str]:
    """Tables of phase segments."""
    numbers = {name.value: number for name, number in OPHNET_IDS.items()}
    names = sorted((number, name) for name, number in numbers.items())
    rows = _ophnet_rows((take, phase_spans(take)) for take in takes)
    return {
        OPHNET_PHASES: table((*_OPHNET_HEADER, "phase_id"), ((*row, numbers[label]) for row, label in rows)),
        "phase_names.csv": table(("phase_id", "name"), names),
    }


def ophnet_operations(takes: Sequence[Take]) -> Tree:
    """Segments of single actions, the steps within phases."""
    verbs = {verb: verb.value for verb in Verb}
    rows = _ophnet_rows((take, action_spans(take, verbs)) for take in takes)
    segments = ((*row, OPERATIONS[Verb(label)]) for row, label in rows)
    names = [(number, verb.value) for verb, number in OPERATIONS.items()]
    return {
        "OphNet2024_loca_challenge.csv": table((*_OPHNET_HEADER, "operation_id"), segments),
        "operation_names.csv": table(("operation_id", "name"), names),
        **films(takes),
    }


def ophnet_surgeries(takes: Sequence[Take]) -> Tree:
    """Which operation each video shows."""
    rows = [(take.case.name, SURGERIES[take.case.program.procedure]) for take in takes]
    names = [(number, procedure.value) for procedure, number in SURGERIES.items()]
    return {
        "OphNet2024_surgery.csv": table(("video_id", "surgery"), rows),
        "surgery_names.csv": table(("surgery_id", "name"), names),
        **films(takes),
    }


def _ophnet_rows(spans: Iterable[tuple[Take, Sequence[Span]]]) -> Iterator[tuple[tuple[object, ...], str]]:
    """Video, start, end, split and surgery of every segment, and its label."""
    for take, parts in spans:
        for start, end, label in parts:
            surgery = SURGERIES[take.case.program.procedure]
            yield (take.case.name, f"{start:.2f}", f"{end:.2f}", "test", surgery), label


def cataract1k(takes: Sequence[Take]) -> Tree:
    """A table of action phases for each video, frames counted at 30 a second."""
    tree: dict[str, str] = {}
    for take in takes:
        name = take.case.name
        rows = (
            (name.removeprefix("case_"), label, round(start * 30), round(end * 30), f"{start:.3f}", f"{end:.3f}")
            for start, end, label in action_spans(take, by_verb(CATARACT1K))
        )
        header = ("caseId", "comment", "frame", "endFrame", "sec", "endSec")
        tree[f"annotations/{name}/{name}_annotations_phases.csv"] = table(header, rows)
    return {**tree, **films(takes)}


def phase_table(takes: Sequence[Take]) -> Tree:
    """The world's own phases of every operation."""
    rows = (
        (take.case.name, f"{start:.3f}", f"{end:.3f}", label)
        for take in takes
        for start, end, label in phase_spans(take)
    )
    return {"phases.csv": table(("video", "start_seconds", "end_seconds", "label"), rows), **films(takes)}


def with_films(tables: Mapping[str, str], takes: Sequence[Take]) -> Tree:
    """Tables with the videos that they are about."""
    return {**tables, **films(takes)}
