"""`ophclip export` and `ophclip labels`: hits out to other tools, and what people said of them back as a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from ingest import atomic
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.tables import video_files
from ophclip.search.bridges.fiftyone import LABELS_NAME, fiftyone_files, read_fiftyone
from ophclip.search.bridges.frames import file_clock
from ophclip.search.bridges.kinds import LabelKind, Tool
from ophclip.search.bridges.label_studio import (
    CONFIG_NAME,
    TASKS_NAME,
    label_studio_config,
    label_studio_tasks,
    read_label_studio,
)
from ophclip.search.bridges.labels import LabelTable, phase_table, presence_table
from ophclip.search.bridges.records import Judgement, Moment, plain
from ophclip.search.bridges.seconds import moments_table, read_seconds
from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue

MOMENTS_NAME = "moments.csv"


def searched_moments(folder: Path, queries: Sequence[str], *, k: int, bundle: Path | None = None) -> tuple[Moment, ...]:
    """The `k` best moments of an index for each query.

    Raises:
        ValueError: no index, no query, or a bundle that is not found.
    """
    from ophclip.search.index import open_index

    if not queries:
        raise ValueError("export: no query; give --query, or hits with --hits")
    with open_index(folder, bundle) as index:
        return tuple(
            Moment(
                query=plain(query),
                video_id=hit.video_id,
                path=hit.path,
                start_seconds=hit.start_seconds,
                end_seconds=hit.end_seconds,
                score=hit.score,
            )
            for query in queries
            for hit in index.search(text=query, k=k)
        )


def export_moments(moments: Sequence[Moment], tool: Tool, out: Path) -> tuple[Path, ...]:
    """Write moments for a tool; returns the files.

    Raises:
        ValueError: there is no moment, or a video cannot be read.
    """
    if not moments:
        raise ValueError("export: no moment to export; search for something else")
    if tool is Tool.CSV:
        known = builtin_prompts("instruments")
        named = {query: known.named_in(query) for query in {one.query for one in moments}}
        instruments = {query: entry.label for query, entry in named.items() if entry is not None}
        atomic.write_text(out / MOMENTS_NAME, moments_table(moments, instruments))
        return (out / MOMENTS_NAME,)
    if tool is Tool.LABEL_STUDIO:
        atomic.write_json(out / TASKS_NAME, label_studio_tasks(moments, lru_cache(_fps_of), "ophclip"))
        atomic.write_text(out / CONFIG_NAME, label_studio_config([one.query for one in moments]))
        return out / TASKS_NAME, out / CONFIG_NAME
    files = fiftyone_files(moments, lru_cache(file_clock))
    for name, tree in files.items():
        atomic.write_json(out / name, tree)
    return tuple(out / name for name in files)


def read_judgements(path: Path, tool: Tool, files: Mapping[str, Path]) -> tuple[Judgement, ...]:
    """What people said in an export of a tool; `files` says where videos lie by name or id.

    Raises:
        ValueError: one line that names file and item of what is damaged.
    """
    if tool is Tool.CSV:
        return read_seconds(path, files)
    return read_label_studio(path) if tool is Tool.LABEL_STUDIO else read_fiftyone(path, lru_cache(file_clock), files)


def tool_of(path: Path) -> Tool:
    """The tool that a file or folder is from, by its name and what lies in it."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return Tool.CSV
    fiftyone = path.is_dir() or path.name == LABELS_NAME
    return Tool.FIFTYONE if fiftyone else Tool.LABEL_STUDIO


def known_files(index: Path | None, videos: Sequence[Path]) -> dict[str, Path]:
    """Video files by name and, of an index, by id.

    Raises:
        ValueError: no index there.
    """
    found = video_files(videos)
    if index is not None:
        with closing(Catalogue.open(index / CATALOGUE_NAME)) as catalogue:
            found |= {name: (index / video.path).resolve() for name, video in catalogue.videos().items()}
    return found


def label_table(
    judgements: Sequence[Judgement], kind: LabelKind, files: Mapping[str, Path], *, whole: bool
) -> LabelTable:
    """The table of what was said.

    Args:
        judgements: what people said.
        kind: presence by the second, or phases as segments.
        files: where videos lie.
        whole: the videos were labelled from start to end, so that what nobody marked is not there.

    Raises:
        ValueError: nothing was said, or a video whose length is needed is not found.
    """
    if kind is LabelKind.PHASES:
        return phase_table(judgements)
    lengths = _lengths({one.video for one in judgements}, files) if whole else None
    return presence_table(judgements, whole_seconds=lengths)


def _lengths(names: Iterable[str], files: Mapping[str, Path]) -> dict[str, float]:
    from ingest.media import probe

    by_name = {path.name: path for path in files.values()} | dict(files)
    if lost := sorted(set(names) - by_name.keys()):
        raise ValueError(f"--whole-videos: the file of {lost[0]} is not found; name its folder with --videos")
    return {name: probe(by_name[name]).duration_seconds for name in names}


def _fps_of(path: Path) -> float:
    """As Label Studio is told: the mean rate of the file."""
    from ingest.media import probe

    return round(probe(path).mean_fps, 6) or 25.0
