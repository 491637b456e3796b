"""A layout's files to disk: videos linked, clips and pictures cut from them; a folder appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ingest.media import frame_blocks
from ophclip.simulate.eye import Pixels
from ophclip.simulate.layouts.takes import Cut, Film, Mask, Tree
from ophclip.simulate.video import TICKS_PER_SECOND, Clock, write_video

FRAMES_AT_ONCE = 32
AFTER_SECONDS = 0.001
"""Pictures are asked for so much after they appear, since seconds are rounded; none is shown so shortly."""


def write_tree(folder: Path, tree: Tree) -> None:
    """Write every file of a layout beside its folder, then rename the folder into place."""
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    stills: dict[Path, list[tuple[int, Path]]] = defaultdict(list)
    for name, content in tree.items():
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, Film):
            _link(content.take.video, path)
        elif isinstance(content, Cut):
            _cut(content, path)
        elif isinstance(content, Mask):
            Image.fromarray(content.paint()).save(path)
        else:
            stills[content.take.video].append((content.second, path))
    for video, wanted in stills.items():
        _write_stills(video, sorted(wanted))
    draft.rename(folder)


def _link(video: Path, path: Path) -> None:
    try:
        os.link(video, path)
    except OSError:  # A file system without links to files: the layout holds a copy.
        shutil.copyfile(video, path)


def _write_stills(video: Path, wanted: list[tuple[int, Path]]) -> None:
    shown = _shown(video, [float(second) for second, _ in wanted])
    for (_, path), pixels_hwc in zip(wanted, shown, strict=True):
        Image.fromarray(pixels_hwc).save(path)


def _cut(cut: Cut, path: Path) -> None:
    """The pictures that appear in the span, at their own times, and those that are shown when it begins and ends."""
    clock = cut.take.case.clock
    first, stop = (round(edge * TICKS_PER_SECOND) for edge in (cut.start_seconds, cut.end_seconds))
    closing = max(first, stop - round(TICKS_PER_SECOND / clock.nominal_fps))
    ticks = sorted({first, *(tick for tick in clock.ticks if first < tick < closing), closing})
    part = Clock(
        ticks=tuple(tick - first for tick in ticks), nominal_fps=clock.nominal_fps, variable=clock.variable,
        duration_seconds=(stop - first) / TICKS_PER_SECOND,
    )  # fmt: skip
    write_video(path, _shown(cut.take.video, [tick / TICKS_PER_SECOND for tick in ticks]), part, None)


def _shown(video: Path, seconds: list[float]) -> Iterator[Pixels]:
    """What a video shows at each of these rising seconds: (h, w, RGB)."""
    later = [second + AFTER_SECONDS for second in seconds]
    for frames in frame_blocks(video, later, FRAMES_AT_ONCE):
        yield from frames.pixels_thwc
