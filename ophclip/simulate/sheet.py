"""A contact sheet of a world: a labelled grid of frames, one per phase and procedure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ophclip.simulate.eye import Pixels
from ophclip.simulate.language import Procedure, Verb

Cell = tuple[Pixels, str]

COLUMNS = 6
CELL_WIDTH, CELL_HEIGHT, CAPTION_PX = 256, 192, 18


def contact_sheet(world_dir: Path | Sequence[Path], out_image: Path, max_bytes: int = 400_000) -> None:
    """Write a captioned grid with one frame of every action of each procedure.

    Several worlds (one per site) take turns. The picture's format follows the suffix of `out_image`; a JPEG is kept
    under `max_bytes`. ValueError: a folder holds no finished world.
    """
    roots = [Path(world_dir)] if isinstance(world_dir, (str, Path)) else [Path(item) for item in world_dir]
    sheet = _grid([_caption(frame, text) for frame, text in _cells(roots)])
    out_image.parent.mkdir(parents=True, exist_ok=True)
    for quality in (88, 80, 70, 60, 50, 40):
        done, data = cv2.imencode(out_image.suffix, sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and len(data) <= max_bytes:
            break
    out_image.write_bytes(data.tobytes())


def _read_book(root: Path) -> dict[str, Any]:
    book = root / "world.json"
    if not book.is_file():
        raise ValueError(f"{root}: expected a finished world; run `ophclip simulate {root}` first")
    read: dict[str, Any] = json.loads(book.read_text(encoding="utf-8"))
    return read


def _cells(roots: list[Path]) -> list[Cell]:
    """A frame and its caption for every action of every procedure, in order, the worlds taking turns."""
    books = [_read_book(root) for root in roots]
    cells: list[Cell] = []
    for procedure in Procedure:
        found = [_shown(root, book, procedure) for root, book in zip(roots, books, strict=True)]
        for number, key in enumerate(sorted({key for cells_of in found for key in cells_of})):
            having = [cells_of for cells_of in found if key in cells_of]
            cells.append(having[number % len(having)][key])
    return cells


def _shown(root: Path, book: dict[str, Any], procedure: Procedure) -> dict[int, Cell]:
    """For one world and procedure: the place of a verb in the language -> a frame of it."""
    shown: dict[int, Cell] = {}
    order = [verb.value for verb in Verb]
    for video in book["videos"]:
        if video["program"]["procedure"] != procedure.value:
            continue
        wanted: dict[int, tuple[float, str]] = {}
        for phase in video["program"]["phases"]:
            for action in phase["actions"]:
                middle = action["start_seconds"] + 0.6 * (action["end_seconds"] - action["start_seconds"])
                caption = f"{book['site']}: {phase['name']} | {' + '.join(action['instruments'])}"
                wanted.setdefault(order.index(action["verb"]), (middle, caption))
        fresh = sorted((seconds, text, key) for key, (seconds, text) in wanted.items() if key not in shown)
        frames = _grab(root / video["path"], [seconds for seconds, _, _ in fresh])
        shown.update({key: (frame, text) for frame, (_, text, key) in zip(frames, fresh, strict=False)})
    return shown


def _grab(path: Path, seconds: list[float]) -> list[Pixels]:
    """The first frame at or after each second (in rising order), in one pass."""
    found: list[Pixels] = []
    if not seconds:
        return found
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            while len(found) < len(seconds) and float(frame.time or 0.0) >= seconds[len(found)]:
                found.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    return found


def _caption(frame: Pixels, text: str) -> Pixels:
    height, width = frame.shape[:2]
    share = CELL_WIDTH / CELL_HEIGHT
    crop = int(min(width, height * share)) // 2
    square = frame[:, width // 2 - crop : width // 2 + crop]
    cell = np.full((CELL_HEIGHT + CAPTION_PX, CELL_WIDTH, 3), 18, np.uint8)
    cell[:CELL_HEIGHT] = cv2.resize(square, (CELL_WIDTH, CELL_HEIGHT), interpolation=cv2.INTER_AREA)
    shown = text if len(text) < 55 else text[:53] + ".."
    place = (3, CELL_HEIGHT + 12)
    cv2.putText(cell, shown, place, cv2.FONT_HERSHEY_SIMPLEX, 0.29, (235, 235, 235), 1, cv2.LINE_AA)
    return cell


def _grid(cells: list[Pixels]) -> Pixels:
    blank = np.full((CELL_HEIGHT + CAPTION_PX, CELL_WIDTH, 3), 18, np.uint8)
    padded = cells + [blank] * (-len(cells) % COLUMNS)
    rows = [np.hstack(padded[k : k + COLUMNS]) for k in range(0, len(padded), COLUMNS)]
    return np.vstack(rows or [blank])
