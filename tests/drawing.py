"""Pictures that a test draws: what is no surgery, and what is burned into surgery, each from a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import matplotlib.cbook
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf", "STIXGeneral.ttf")
INKS = ((255, 255, 255), (255, 255, 60), (120, 255, 120))
WIDTH, HEIGHT = 456, 256
LINES = (
    "Phacoemulsification in small pupils",
    "Department of Ophthalmology",
    "Preoperative visual acuity 20/80",
    "Take-home messages",
    "Intraocular pressure 14 mmHg",
    "No financial disclosures",
    "Case 3: white cataract",
    "Thank you for watching",
    "Axial length and keratometry",
    "Results after six months",
)


def font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A typeface that comes with matplotlib."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size_px)


def _softened(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """As a video shows it: a JPEG's damage and a little noise."""
    noisy = np.clip(pixels + rng.normal(0, rng.uniform(0, 2), pixels.shape), 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def _ramp(rng: np.random.Generator, first: tuple[int, ...], last: tuple[int, ...]) -> Pixels:
    share = np.linspace(0, 1, HEIGHT)[:, None, None]
    shaded = np.asarray(first) * (1 - share) + np.asarray(last) * share
    return np.broadcast_to(shaded, (HEIGHT, WIDTH, 3)).astype(np.uint8).copy()


def slide(rng: np.random.Generator) -> Pixels:
    """A heading, bullet points, sometimes a chart."""
    dark = rng.random() < 0.4
    base = tuple(int(v) for v in (rng.integers(5, 70, 3) if dark else rng.integers(215, 256, 3)))
    page = Image.fromarray(_ramp(rng, base, tuple(min(255, v + int(rng.integers(0, 25))) for v in base)))
    pen, ink = ImageDraw.Draw(page), (235, 235, 225) if dark else (25, 25, 40)
    name = FONTS[int(rng.integers(len(FONTS)))]
    pen.text((24, 16), LINES[int(rng.integers(len(LINES)))], fill=ink, font=font(name, 22))
    for row in range(int(rng.integers(3, 7))):
        pen.text((36, 62 + 28 * row), "• " + LINES[int(rng.integers(len(LINES)))], fill=ink, font=font(name, 15))
    if rng.random() < 0.4:
        for bar in range(5):
            colour = tuple(int(v) for v in rng.integers(40, 220, 3))
            pen.rectangle((320 + 24 * bar, 230 - int(rng.integers(20, 130)), 338 + 24 * bar, 230), fill=colour)
    return _softened(np.asarray(page), rng)


def title_card(rng: np.random.Generator) -> Pixels:
    """A few large lines in the middle of a plain or black ground."""
    base = (0, 0, 0) if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(0, 120, 3))
    page = Image.fromarray(_ramp(rng, base, base))
    pen, name = ImageDraw.Draw(page), FONTS[int(rng.integers(len(FONTS)))]
    ink = tuple(int(v) for v in rng.integers(200, 256, 3))
    for row in range(int(rng.integers(1, 4))):
        line = LINES[int(rng.integers(len(LINES)))]
        pen.text((WIDTH // 2, 90 + 38 * row), line, fill=ink, font=font(name, int(rng.integers(16, 26))), anchor="mm")
    return _softened(np.asarray(page), rng)


def black(rng: np.random.Generator) -> Pixels:
    """A fade: nothing but noise near black."""
    return _softened(np.full((HEIGHT, WIDTH, 3), int(rng.integers(0, 22)), np.uint8), rng)


def talking_head(rng: np.random.Generator) -> Pixels:
    """A real portrait (public domain, comes with matplotlib) before a blurred office, moved, scaled, relit."""
    portrait = np.asarray(Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    room = cv2.GaussianBlur(theatre(rng), (0, 0), 9)
    height = int(rng.integers(170, 256))
    person = cv2.resize(portrait, (height * 512 // 600, height), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        person = person[:, ::-1]
    person = np.clip(person * rng.uniform(0.7, 1.15) * rng.uniform(0.92, 1.08, 3), 0, 255)
    left = int(rng.integers(0, WIDTH - person.shape[1]))
    room[HEIGHT - height :, left : left + person.shape[1]] = person
    return _softened(room, rng)


def theatre(rng: np.random.Generator) -> Pixels:
    """A room outside the eye: wall, floor, green drapes, trolleys, monitors, a lamp, people in blue gowns."""
    wall = tuple(int(v) for v in (rng.integers(120, 200) + rng.integers(-12, 12, 3)))
    room = _ramp(rng, wall, tuple(int(v * 0.7) for v in wall))
    cv2.rectangle(room, (0, int(rng.integers(175, 205))), (WIDTH, HEIGHT), (105, 112, 118), -1)
    for _ in range(int(rng.integers(4, 9))):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(40, 200))
        w, h = int(rng.integers(18, 110)), int(rng.integers(18, 90))
        shade = int(rng.integers(30, 190))
        colour = [(shade, shade, shade), (shade // 3, shade, shade * 3 // 4), (shade // 3, shade // 2, shade)]
        cv2.rectangle(room, (x, y), (x + w, y + h), colour[int(rng.integers(3))], -1)
        cv2.rectangle(room, (x, y), (x + w, y + h), (25, 28, 30), 1)
    for _ in range(int(rng.integers(1, 4))):
        x, gown = int(rng.integers(30, WIDTH - 30)), (30, int(rng.integers(80, 130)), int(rng.integers(110, 170)))
        cv2.ellipse(room, (x, 215), (34, 85), 0, 0, 360, gown, -1)
        cv2.ellipse(room, (x, 110), (13, 17), 0, 0, 360, (205, 165, 140), -1)
        cv2.ellipse(room, (x, 117), (12, 9), 0, 0, 360, (190, 215, 225), -1)
        cv2.ellipse(room, (x, 98), (15, 9), 0, 0, 360, gown, -1)
    cv2.circle(room, (int(rng.integers(60, 400)), 30), 26, (245, 248, 240), -1)
    # Walls and cloth are never even: broad light and shade, and a grain.
    shade = cv2.resize(rng.normal(0, 14, (6, 9, 1)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 2.5) * 40
    lit = np.clip(cv2.GaussianBlur(room, (0, 0), 1.2) + (shade + grain)[..., None], 0, 255).astype(np.uint8)
    return _softened(lit, rng)


NOT_SURGERY: dict[str, Callable[[np.random.Generator], Pixels]] = {
    "slide": slide,
    "title_card": title_card,
    "black": black,
    "talking_head": talking_head,
    "theatre": theatre,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Burned:
    """Text put onto a picture, and the box of its ink."""

    pixels_hwc: Pixels
    text: str
    box: tuple[int, int, int, int]
    """x, y, width, height in pixels."""


def identity_text(rng: np.random.Generator) -> str:
    """What a recorder burns in: a name, a date, a record number, an institution."""
    name = rng.choice(["MUELLER, ANNA", "John Carpenter", "SANTOS MARIA", "Patient: Okafor C.", "Dr. K. Lindqvist"])
    date = f"{int(rng.integers(1, 29)):02d}.{int(rng.integers(1, 13)):02d}.{int(rng.integers(1938, 2024))}"
    number = f"{rng.choice(['ID', 'MRN', 'Case', 'No.'])} {int(rng.integers(10_000, 9_999_999))}"
    clock = f"{int(rng.integers(24)):02d}:{int(rng.integers(60)):02d}:{int(rng.integers(60)):02d}"
    place = rng.choice(["St. Mary Eye Hospital", "University Clinic OR 4"])
    return str(rng.choice([name, date, number, f"{date} {clock}", f"{name} {date}", place]))


def burn(
    pixels_hwc: Pixels, text: str, rng: np.random.Generator, *, size_share: float, contrast: str, name: str
) -> Burned:
    """Write `text` at a random place. `contrast`: `outlined`, `plain`, `boxed` or `faint`; size: share of height."""
    height, width = pixels_hwc.shape[:2]
    face = font(name, max(8, round(size_share * height)))
    right, bottom = (round(edge) for edge in face.getbbox(text)[2:])
    x = int(rng.integers(4, max(5, width - right - 4)))
    y = int(rng.choice([4, height - bottom - 4, int(rng.integers(4, max(5, height - bottom - 4)))]))
    ink = tuple(int(v) for v in rng.choice(INKS))
    return write(pixels_hwc, text, (x, y), face=face, ink=ink, contrast=contrast)


def write(
    pixels_hwc: Pixels,
    text: str,
    corner: tuple[int, int],
    *,
    face: ImageFont.FreeTypeFont,
    ink: tuple[int, ...] = (255, 255, 255),
    contrast: str = "outlined",
    opacity: float = 1.0,
) -> Burned:
    """Write `text` with the corner of its ink at x, y; both may lie outside the picture."""
    page = Image.fromarray(pixels_hwc).convert("RGBA")
    sheet = Image.new("RGBA", page.size)
    pen = ImageDraw.Draw(sheet)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=face)
    x, y, width, height = *corner, round(right - left), round(bottom - top)
    if contrast == "boxed":
        pen.rectangle((x - 3, y - 3, x + width + 3, y + height + 3), fill=(0, 0, 0, 255))
    pen.text(
        (x - left, y - top),
        text,
        font=face,
        fill=(*ink, 130 if contrast == "faint" else 255),
        stroke_width=1 if contrast == "outlined" else 0,
        stroke_fill=(0, 0, 0, 255),
    )
    if opacity < 1.0:
        sheet.putalpha(sheet.getchannel("A").point(lambda alpha: round(alpha * opacity)))
    burned = np.asarray(Image.alpha_composite(page, sheet).convert("RGB"))
    return Burned(pixels_hwc=burned, text=text, box=(x, y, width, height))
