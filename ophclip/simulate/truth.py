"""The labels of a world, in the layouts in which the real datasets are shipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ophclip.simulate.casebook import Role
from ophclip.simulate.language import Procedure
from ophclip.simulate.layouts.frame_tables import INSTRUMENTS
from ophclip.simulate.layouts.segment_lists import cataract101, ophnet
from ophclip.simulate.layouts.takes import Take, phase_spans, table

Rows = Iterable[Sequence[object]]
Record = Mapping[str, list[list[object]]]
"""What rendering found out about a video: `seen` rows (second, instrument, x0, y0, x1, y1) and `spoken` rows."""


def truth_files(takes: Sequence[Take], records: Mapping[str, Record]) -> dict[str, str]:
    """Every label file by its path in the world's folder."""
    source = [take for take in takes if take.case.role is not Role.HELD_OUT]
    held_out = [take for take in takes if take.case.role is Role.HELD_OUT]
    files = {
        "truth/phases.csv": table(("video", "start_seconds", "end_seconds", "label"), _phases(source)),
        "truth/instruments.csv": table(("video", "seconds", *INSTRUMENTS), _presence(source, records)),
        "truth/narrations.csv": table(
            ("video", "start_seconds", "end_seconds", "text", "kind"), _narrations(source, records)
        ),
        "truth/videos.csv": table(
            ("video", "procedure", "narrated", "surgeon", "experience", "site", "vague_title"), _videos(source)
        ),
    }
    if held_out:
        files["held_out/instruments/presence.csv"] = table(
            ("video", "seconds", *INSTRUMENTS), _presence(held_out, records)
        )
        files["held_out/instruments/boxes.csv"] = table(
            ("video", "seconds", "instrument", "x0_px", "y0_px", "x1_px", "y1_px"), _boxes(held_out, records)
        )
    phaco = [take for take in held_out if take.case.program.procedure is Procedure.PHACO]
    other = [take for take in held_out if take.case.program.procedure is not Procedure.PHACO]
    for folder, tables, fitting in (("cataract101", cataract101, phaco), ("ophnet", ophnet, other)):
        if fitting:
            files |= {f"held_out/{folder}/{name}": text for name, text in tables(fitting).items()}
    return files


def write_text(path: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def _phases(takes: Iterable[Take]) -> Rows:
    for take in takes:
        for start, end, label in phase_spans(take):
            yield take.case.name, f"{start:.3f}", f"{end:.3f}", label


def _presence(takes: Iterable[Take], records: Mapping[str, Record]) -> Rows:
    for take in takes:
        seen = {(int(str(row[0])), str(row[1])) for row in records[take.case.name]["seen"]}
        for second in take.whole_seconds:
            yield take.case.name, second, *(int((second, name) in seen) for name in INSTRUMENTS)


def _boxes(takes: Iterable[Take], records: Mapping[str, Record]) -> Rows:
    for take in takes:
        for row in records[take.case.name]["seen"]:
            yield take.case.name, *row


def _narrations(takes: Iterable[Take], records: Mapping[str, Record]) -> Rows:
    for take in takes:
        for start, end, text, kind in records[take.case.name]["spoken"]:
            yield take.case.name, f"{float(str(start)):.3f}", f"{float(str(end)):.3f}", text, kind


def _videos(takes: Iterable[Take]) -> Rows:
    for case in (take.case for take in takes):
        program = case.program
        yield (
            case.name, program.procedure.value, int(case.role is Role.NARRATED), program.surgeon.number,
            program.surgeon.experience, program.site.value, int(case.vague_title),
        )  # fmt: skip
