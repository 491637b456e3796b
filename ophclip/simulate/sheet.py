"""A contact sheet of a world: a labelled grid of frames, one per phase and procedure."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np

from ophclip.simulate.eye import Pixels

COLUMNS = 6
CELL_WIDTH, CELL_HEIGHT, CAPTION_PX = 240, 180, 18


def contact_sheet(world_dir: Path, out_image: Path, max_bytes: int = 400_000) -> None:
    """Write a JPEG or PNG with one frame from the middle of every phase of each procedure, captioned.

    ValueError: `world_dir` holds no finished world.
    """
    book = Path(world_dir) / "world.json"
    if not book.is_file():
        raise ValueError(
            f"{world_dir}: expected a finished world (world.json); run `ophclip simulate {world_dir}` first"
        )
    cells = _cells(Path(world_dir), json.loads(book.read_text(encoding="utf-8")))
    sheet = _grid(cells)
    out_image.parent.mkdir(parents=True, exist_ok=True)
    for quality in (88, 80, 70, 60, 50, 40):
        done, data = cv2.imencode(out_image.suffix or ".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and len(data) <= max_bytes:
            break
    out_image.write_bytes(data.tobytes())


def _cells(root: Path, world: dict[str, object]) -> list[Pixels]:
    """One cell for the latest action of each phase, from the first video of each procedure that has it."""
    cells, shown = [], set()
    videos = world["videos"]
    assert isinstance(videos, list)
    for video in sorted(videos, key=lambda item: str(item["program"]["procedure"])):
        wanted: list[tuple[float, str]] = []
        for phase in video["program"]["phases"]:
            for action in phase["actions"]:
                key = (video["program"]["procedure"], action["verb"])
                if key not in shown:
                    shown.add(key)
                    middle = action["start_seconds"] + 0.6 * (action["end_seconds"] - action["start_seconds"])
                    tools = " + ".join(action["instruments"])
                    wanted.append((middle, f"{world['site']} | {phase['name']}: {tools}"))
        cells += [_caption(frame, text) for frame, text in _grab(root / video["path"], wanted)]
    return cells


def _grab(path: Path, wanted: list[tuple[float, str]]) -> list[tuple[Pixels, str]]:
    """The first frame at or after each second, in one pass."""
    found: list[tuple[Pixels, str]] = []
    if not wanted:
        return found
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            while len(found) < len(wanted) and float(frame.time or 0.0) >= wanted[len(found)][0]:
                found.append((frame.to_ndarray(format="rgb24"), wanted[len(found)][1]))
    return found


def _caption(frame: Pixels, text: str) -> Pixels:
    height, width = frame.shape[:2]
    share = CELL_WIDTH / CELL_HEIGHT
    crop = int(min(width, height * share)) // 2
    square = frame[:, width // 2 - crop : width // 2 + crop]
    cell = np.full((CELL_HEIGHT + CAPTION_PX, CELL_WIDTH, 3), 18, np.uint8)
    cell[:CELL_HEIGHT] = cv2.resize(square, (CELL_WIDTH, CELL_HEIGHT), interpolation=cv2.INTER_AREA)
    shown = text if len(text) < 47 else text[:45] + ".."
    place = (3, CELL_HEIGHT + 12)
    cv2.putText(cell, shown, place, cv2.FONT_HERSHEY_SIMPLEX, 0.3, (235, 235, 235), 1, cv2.LINE_AA)
    return cell


def _grid(cells: list[Pixels]) -> Pixels:
    blank = np.full((CELL_HEIGHT + CAPTION_PX, CELL_WIDTH, 3), 18, np.uint8)
    padded = cells + [blank] * (-len(cells) % COLUMNS)
    rows = [np.hstack(padded[k : k + COLUMNS]) for k in range(0, len(padded), COLUMNS)]
    return np.vstack(rows or [blank])
