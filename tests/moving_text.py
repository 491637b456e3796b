"""A name that moves over surgery that moves, two pictures a second, and where it stands in each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from drawing import FONTS, INKS, Pixels, font, identity_text, write

from ophclip.simulate.config import Site
from ophclip.simulate.draw import stream
from ophclip.simulate.language import Procedure
from ophclip.simulate.planning import plan
from ophclip.simulate.scene import Scene

FPS = 2.0
NAME = "MUELLER, ANNA 12.03.1956"
Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of text in one picture: where the corner of its ink is, and how opaque it is."""

    text: str
    x: float
    y: float
    opacity: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """Sizes in pixels of a picture and of the name written into it."""

    width: int
    height: int
    name_width: int
    name_height: int

    @property
    def free(self) -> tuple[int, int]:
        """How far the name can move to the right and down."""
        return max(1, self.width - self.name_width), max(1, self.height - self.name_height)


Motion = Callable[[Room, int, np.random.Generator], Iterator[list[Line]]]


def drift(room: Room, count: int, rng: np.random.Generator) -> Iterator[list[Line]]:
    """A watermark that drifts by a few pixels a second and turns back at the edges."""
    start, speed = rng.uniform(0, room.free), rng.uniform(2.0, 6.0, 2) * rng.choice([-1, 1], 2)
    for place in range(count):
        x, y = (_mirrored(one, most) for one, most in zip(start + speed * place / FPS, room.free, strict=True))
        yield [Line(text=NAME, x=x, y=y)]


def jumps(room: Room, count: int, rng: np.random.Generator) -> Iterator[list[Line]]:
    """A watermark that stands elsewhere every few seconds."""
    left = 0
    for _place in range(count):
        if left == 0:
            left, (x, y) = int(rng.integers(4, 11)), rng.uniform(0, room.free)
        left -= 1
        yield [Line(text=NAME, x=x, y=y)]


def ticker(room: Room, count: int, rng: np.random.Generator) -> Iterator[list[Line]]:
    """A line that runs through the picture from right to left along its bottom, again and again."""
    speed, start = rng.uniform(25.0, 60.0), rng.uniform(0, room.width)
    for place in range(count):
        run = (start + speed * place / FPS) % (room.width + room.name_width)
        yield [Line(text=NAME, x=room.width - run, y=room.height - 1.4 * room.name_height)]


def credits_(room: Room, count: int, rng: np.random.Generator) -> Iterator[list[Line]]:
    """Lines that scroll up through the picture once, in the middle of the video."""
    texts, pitch, speed = [identity_text(rng) for _ in range(6)], 2.2 * room.name_height, rng.uniform(15.0, 35.0)
    x, first = 0.2 * room.width, count // 4
    for place in range(count):
        top = room.height - speed * (place - first) / FPS
        lines = (Line(text=text, x=x, y=top + pitch * number) for number, text in enumerate(texts))
        yield [line for line in lines if place >= first and -room.name_height < line.y < room.height]


def fade(room: Room, count: int, rng: np.random.Generator) -> Iterator[list[Line]]:
    """Text that comes within two seconds, stands for some, and goes within two, twice."""
    x, y = rng.uniform(0, room.free)
    stands = float(rng.uniform(1.0, 4.0))
    for place in range(count):
        since = (place / FPS) % (count / FPS / 2) - 5.0
        opacity = min(1.0, since / 2.0, (stands + 4.0 - since) / 2.0)
        yield [Line(text=NAME, x=x, y=y, opacity=opacity)] if opacity > 0.0 else []


MOTIONS: dict[str, Motion] = {"drift": drift, "jumps": jumps, "ticker": ticker, "credits": credits_, "fade": fade}


@dataclass(frozen=True, kw_only=True, slots=True)
class Titled:
    """Pictures with text, and in each the lines that are legible and their boxes: x, y, width, height in pixels."""

    pictures: tuple[Pixels, ...]
    texts: tuple[tuple[str, ...], ...]
    boxes: tuple[tuple[Box, ...], ...]


def titled(
    frames: list[Pixels], motion: Motion, rng: np.random.Generator, *, size_share: float, contrast: str = "outlined"
) -> Titled:
    """Write moving text into the pictures of a video; size: share of the height."""
    height, width = frames[0].shape[:2]
    face = font(FONTS[int(rng.integers(len(FONTS)))], max(8, round(size_share * height)))
    left, top, right, bottom = face.getbbox(NAME)
    room = Room(width=width, height=height, name_width=round(right - left), name_height=round(bottom - top))
    ink = INKS[int(rng.integers(len(INKS)))]
    pictures, texts, boxes = [], [], []
    for frame, lines in zip(frames, motion(room, len(frames), rng), strict=True):
        shown, legible = frame, []
        for line in lines:
            corner = round(line.x), round(line.y)
            one = write(shown, line.text, corner, face=face, ink=ink, contrast=contrast, opacity=line.opacity)
            shown = one.pixels_hwc
            box = _visible(one.box, width, height)
            if line.opacity >= 0.25 and box[2] >= 3 * one.box[3] and 4 * box[3] >= 3 * one.box[3]:
                legible.append((line.text, box))
        pictures.append(shown)
        texts.append(tuple(text for text, _ in legible))
        boxes.append(tuple(box for _, box in legible))
    return Titled(pictures=tuple(pictures), texts=tuple(texts), boxes=tuple(boxes))


def panned(folder: Path, count: int, rng: np.random.Generator, size: tuple[int, int] = (342, 256)) -> list[Pixels]:
    """A real eye under a microscope that wanders: pictures of a video, width and height as asked."""
    paths = sorted((folder / "cataract1k" / "images").glob("*.png"))
    width, height = size
    still = cv2.imread(str(paths[int(rng.integers(len(paths)))]))[..., ::-1]
    still = cv2.resize(still, (width * 5 // 4, height * 5 // 4), interpolation=cv2.INTER_AREA)
    phase, clock = rng.uniform(0, 6.28, 2), np.arange(count) / FPS
    lefts, tops = (np.sin(phase[k] + clock * (0.31, 0.23)[k]) * 0.5 + 0.5 for k in (0, 1))
    found = []
    for x, y in zip(lefts * width / 4, tops * height / 4, strict=True):
        shift = np.float32([[1, 0, -x], [0, 1, -y]])
        found.append(np.asarray(cv2.warpAffine(still, shift, size, flags=cv2.INTER_LINEAR), np.uint8))
    return found


def simulated(count: int, number: int, size: tuple[int, int] = (342, 256)) -> list[Pixels]:
    """Pictures of a simulated operation."""
    program = plan(number, Site.A, "silent", 2, procedure=list(Procedure)[number % len(Procedure)], pace=1.0)
    scene = Scene(program, stream(number, "moving text"), *size)
    start = min(10.0, max(0.0, program.duration_seconds - count / FPS))
    return [np.ascontiguousarray(scene.render(start + place / FPS)) for place in range(count)]


def _mirrored(value: float, most: float) -> float:
    """A value that turns back at 0 and at `most`."""
    return float(most - abs(value % (2 * most) - most))


def _visible(box: Box, width: int, height: int) -> Box:
    x, y, wide, high = box
    left, top = max(0, x), max(0, y)
    return left, top, max(0, min(x + wide, width) - left), max(0, min(y + high, height) - top)
