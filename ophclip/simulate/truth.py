"""The labels of a world, in the layouts in which the real datasets are shipped."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ophclip.simulate.casebook import Case, Role
from ophclip.simulate.language import CATARACT101_IDS, OPHNET_IDS, Instrument, Procedure

INSTRUMENTS = tuple(instrument.value for instrument in Instrument)

Rows = Iterable[Sequence[object]]
Record = Mapping[str, list[list[object]]]
"""What rendering found out about a video: `seen` rows (second, instrument, x0, y0, x1, y1) and `spoken` rows."""


def truth_files(cases: Sequence[Case], records: Mapping[str, Record]) -> dict[str, str]:
    """Every label file by its path in the world's folder."""
    source = [case for case in cases if case.role is not Role.HELD_OUT]
    held_out = [case for case in cases if case.role is Role.HELD_OUT]
    files = {
        "truth/phases.csv": _table(("video", "start_seconds", "end_seconds", "label"), _phases(source)),
        "truth/instruments.csv": _table(("video", "seconds", *INSTRUMENTS), _presence(source, records)),
        "truth/narrations.csv": _table(
            ("video", "start_seconds", "end_seconds", "text", "kind"), _narrations(source, records)
        ),
        "truth/videos.csv": _table(
            ("video", "procedure", "narrated", "surgeon", "experience", "site", "vague_title"), _videos(source)
        ),
    }
    if held_out:
        files["held_out/instruments/presence.csv"] = _table(
            ("video", "seconds", *INSTRUMENTS), _presence(held_out, records)
        )
        files["held_out/instruments/boxes.csv"] = _table(
            ("video", "seconds", "instrument", "x0_px", "y0_px", "x1_px", "y1_px"), _boxes(held_out, records)
        )
    phaco = [case for case in held_out if case.program.procedure is Procedure.PHACO]
    other = [case for case in held_out if case.program.procedure is not Procedure.PHACO]
    return {**files, **(_cataract101(phaco) if phaco else {}), **(_ophnet(other) if other else {})}


def presence_at(case: Case) -> range:
    """The whole seconds at which instruments are labelled."""
    return range(int(case.clock.duration_seconds - 1e-6) + 1)


def write_text(path: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def _table(header: Sequence[str], rows: Rows, separator: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _phases(cases: Iterable[Case]) -> Rows:
    for case in cases:
        for phase in case.program.phases:
            yield case.name, f"{phase.start_seconds:.3f}", f"{_end(case, phase.end_seconds):.3f}", phase.name.value


def _end(case: Case, seconds: float) -> float:
    return min(seconds, case.clock.duration_seconds)


def _presence(cases: Iterable[Case], records: Mapping[str, Record]) -> Rows:
    for case in cases:
        seen = {(int(str(row[0])), str(row[1])) for row in records[case.name]["seen"]}
        for second in presence_at(case):
            yield case.name, second, *(int((second, name) in seen) for name in INSTRUMENTS)


def _boxes(cases: Iterable[Case], records: Mapping[str, Record]) -> Rows:
    for case in cases:
        for row in records[case.name]["seen"]:
            yield case.name, *row


def _narrations(cases: Iterable[Case], records: Mapping[str, Record]) -> Rows:
    for case in cases:
        for start, end, text, kind in records[case.name]["spoken"]:
            yield case.name, f"{float(str(start)):.3f}", f"{float(str(end)):.3f}", text, kind


def _videos(cases: Iterable[Case]) -> Rows:
    for case in cases:
        program = case.program
        yield (
            case.name, program.procedure.value, int(case.role is Role.NARRATED), program.surgeon.number,
            program.surgeon.experience, program.site.value, int(case.vague_title),
        )  # fmt: skip


def _number(case: Case) -> str:
    return case.name.removeprefix("case_")


def _cataract101(cases: Sequence[Case]) -> dict[str, str]:
    """Phase start frames, as the owners of Cataract-101 ship them."""
    starts = [
        (_number(case), round(phase.start_seconds * case.clock.mean_fps), CATARACT101_IDS[phase.name])
        for case in cases
        for phase in case.program.phases
    ]
    videos = [
        (_number(case), len(case.clock.ticks), f"{case.clock.mean_fps:.6f}", case.program.surgeon.number,
         case.program.surgeon.experience)
        for case in cases
    ]  # fmt: skip
    names = [(number, name.value) for name, number in CATARACT101_IDS.items()]
    return {
        "held_out/cataract101/annotations.csv": _table(("VideoID", "FrameNo", "Phase"), starts, ";"),
        "held_out/cataract101/videos.csv": _table(("VideoID", "Frames", "FPS", "Surgeon", "Experience"), videos, ";"),
        "held_out/cataract101/phases.csv": _table(("Phase", "Meaning"), names, ";"),
    }


def _ophnet(cases: Sequence[Case]) -> dict[str, str]:
    """Phase segments, as the owners of OphNet2024 ship them; `surgery_id` is this world's own running number."""
    surgeries = {Procedure.TRABECULECTOMY: 1, Procedure.KERATOPLASTY: 2}
    segments = [
        (case.name, f"{phase.start_seconds:.2f}", f"{_end(case, phase.end_seconds):.2f}", "test",
         surgeries[case.program.procedure], OPHNET_IDS[phase.name])
        for case in cases
        for phase in case.program.phases
    ]  # fmt: skip
    names = sorted((number, name.value) for name, number in OPHNET_IDS.items())
    header = ("video_id", "start", "end", "split", "surgery_id", "phase_id")
    return {
        "held_out/ophnet/OphNet2024_loca_challenge_phase.csv": _table(header, segments),
        "held_out/ophnet/phase_names.csv": _table(("phase_id", "name"), names),
    }
