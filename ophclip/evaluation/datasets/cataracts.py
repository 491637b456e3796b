"""CATARACTS: surgical steps and tools of 50 videos, frame by frame. Layout after public code that reads it; not seen.

Steps: `ground_truth/CATARACTS_2020/{train,dev,test}_gt/NAME.csv` of `Frame,Steps`, frames counted from 1, 0 is idle.
Tools: `ground_truth/CATARACTS_2018/images/micro_{train,dev,test}_gt/NAME.csv`, a frame column and one column per tool.
Videos: `videos/micro/NAME.mp4`, 30 fps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ophclip.evaluation.datasets.own import presence_of, presence_video
from ophclip.evaluation.datasets.segments import label_of, phase_videos, segments_of_frames
from ophclip.evaluation.prompts import normal
from ophclip.evaluation.records import Facts, PhaseDataset, PresenceDataset, Source, Task
from ophclip.evaluation.tables import Row, paths_of, read_table, whole

FPS = 30.0
STEPS = (
    "Idle",
    "Toric Marking",
    "Implant Ejection",
    "Incision",
    "Viscodilatation",
    "Capsulorhexis",
    "Hydrodissection",
    "Nucleus Breaking",
    "Phacoemulsification",
    "Vitrectomy",
    "Irrigation/Aspiration",
    "Preparing Implant",
    "Manual Aspiration",
    "Implantation",
    "Positioning",
    "OVD Aspiration",
    "Suturing",
    "Sealing Control",
    "Wound Hydratation",
)
TOOLS = (
    "Biomarker",
    "Charleux cannula",
    "Hydrodissection cannula",
    "Rycroft cannula",
    "Viscoelastic cannula",
    "Cotton",
    "Capsulorhexis cystotome",
    "Bonn forceps",
    "Capsulorhexis forceps",
    "Troutman forceps",
    "Needle holder",
    "I/A handpiece",
    "Phacoemulsifier handpiece",
    "Vitrectomy handpiece",
    "Implant injector",
    "Primary incision knife",
    "Secondary incision knife",
    "Micromanipulator",
    "Suture needle",
    "Mendez ring",
    "Vannas scissors",
)
_SPELLINGS = {normal(tool): index for index, tool in enumerate(TOOLS)} | {
    "irrigation aspiration handpiece": TOOLS.index("I/A handpiece")
}
_SPLITS = {"train": "train", "dev": "val", "test": "test"}

SOURCE = Source(
    name="cataracts",
    license="terms of the CATARACTS challenge",
    citation="Al Hajj et al., CATARACTS: challenge on automatic tool annotation for cataract surgery, MedIA 2019",
    obtain="register at ieee-dataport.org for CATARACTS and unpack ground_truth and videos side by side",
    overlap_rule="every frame has one step, so none overlap",
    background_rule="idle is a class of its own",
)
CATARACTS = Facts(source=SOURCE, task=Task.PHASE, classes=19, protocol="video_macro_v1", prompts="cataracts")
CATARACTS_TOOLS = Facts(
    source=replace(
        SOURCE,
        name="cataracts-tools",
        overlap_rule="any number of tools at a time",
        background_rule="a frame without a row is not scored",
    ),
    task=Task.PRESENCE,
    classes=21,
    protocol="instrument_video_map",
    prompts="cataract_tools",
)


def read_cataracts(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """CATARACTS steps: tables of `Frame,Steps`.

    Raises:
        ValueError: no table or video, or a step that is none of 0 to 18.
    """
    steps = {str(number): step for number, step in enumerate(STEPS)}
    spans, splits = {}, {}
    for split, table in _tables(root / "ground_truth" / "CATARACTS_2020", "{}_gt"):
        rows = read_table(table, ("Frame", "Steps"))
        labels = [label_of(row, "Steps", steps) for row in rows]
        spans[table.stem] = segments_of_frames(rows, "Frame", labels, fps=FPS, first=1)
        splits[table.stem] = split
    found = phase_videos(spans, [root / "videos" / "micro", root, *videos], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=SOURCE, classes=STEPS, videos=found)


def read_cataracts_tools(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PresenceDataset:
    """CATARACTS tools: tables of a frame column and one column of 0 or 1 per tool, read at one frame per second.

    Raises:
        ValueError: no table or video, a column that is none of the 21 tools, a tool without column, or another value.
    """
    lines, splits = {}, {}
    for split, table in _tables(root / "ground_truth" / "CATARACTS_2018" / "images", "micro_{}_gt"):
        rows = read_table(table, ())
        frame, *columns = rows[0]
        places = [_SPELLINGS.get(normal(column), -1) for column in columns]
        if sorted(places) != list(range(len(TOOLS))):
            odd = [column for column, place in zip(columns, places, strict=True) if place < 0]
            lacking = [tool for index, tool in enumerate(TOOLS) if index not in places]
            raise ValueError(f"{table}: expected a frame column and the {len(TOOLS)} tools; {(odd or lacking)[0]!r}?")
        ordered = [columns[places.index(index)] for index in range(len(TOOLS))]
        taken: dict[int, Row] = {}
        for row in rows:
            if taken.setdefault(whole(row, frame) - 1, row) is not row:
                raise ValueError(f"{row.where}: {frame} {row[frame]} stands there already")
        splits[table.stem] = split
        lines[table.stem] = [
            (index / FPS, [presence_of(row, column) for column in ordered])
            for index, row in taken.items()
            if index % FPS == 0
        ]
    paths = paths_of(list(lines), [root / "videos" / "micro", root, *videos], with_videos=with_videos)
    return PresenceDataset(
        source=CATARACTS_TOOLS.source,
        classes=TOOLS,
        videos=tuple(
            presence_video(name, path, lines[name], splits[name]) for name, path in zip(lines, paths, strict=True)
        ),
    )


def _tables(place: Path, folder: str) -> Iterator[tuple[str, Path]]:
    """Split and table of every video."""
    found = [
        (split, table)
        for name, split in _SPLITS.items()
        for table in sorted((place / folder.format(name)).glob("*.csv"))
    ]
    if not found:
        raise ValueError(f"{place / folder.format('train') / 'train01.csv'}: expected a table per video, found none")
    names = [table.stem for _, table in found]
    for _, table in found:
        if names.count(table.stem) > 1:
            raise ValueError(f"{table}: {table.stem} has a table in two splits")
    yield from found
