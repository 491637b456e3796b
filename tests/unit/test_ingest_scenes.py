"""Cuts, turned and oblong pictures, chapters, limits: what a pass says of a video besides pictures and sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from filming import film, steady
from numpy.typing import NDArray

from ingest.config.sources import LimitsConfig
from ingest.media import Reader, Scan, frames_at, installed_readers, probe, scan
from ingest.records import Chapter

Picture = NDArray[np.uint8]


def scene(seed: int) -> Picture:
    """A made-up scene with broad shapes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def shoot(
    path: Path,
    pictures: Sequence[Picture],
    *,
    fps: int = 25,
    aspect: Fraction | None = None,
    turn: float = 0.0,
    chapters: Sequence[tuple[float, float, str]] = (),
) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p" if not (video.height % 2 or video.width % 2) else "yuv444p"
        video.options = {"crf": "18", "threads": "1"}
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if turn:
            video.set_display_rotation(turn)
        marks = [
            {"id": n, "start": round(1000 * a), "end": round(1000 * b), "time_base": Fraction(1, 1000), "metadata": m}
            for n, (a, b, title) in enumerate(chapters)
            for m in [{"title": title}]
        ]
        container.set_chapters(marks)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def scanned(path: Path, **options: LimitsConfig) -> Scan:
    return scan(path, lambda _second, _pixels: None, fps=1.0, short_side_px=48, **options)


def brighter(picture: Picture, factor: float) -> Picture:
    return np.clip(picture * factor, 0, 255).astype(np.uint8)


def zoomed(picture: Picture, factor: float) -> Picture:
    matrix = cv2.getRotationMatrix2D((80, 60), 0.0, factor)
    return np.asarray(cv2.warpAffine(picture, matrix, (160, 120)), dtype=np.uint8)


def glint(picture: Picture) -> Picture:
    return np.asarray(cv2.circle(picture.copy(), (90, 50), 35, (255, 255, 255), -1), dtype=np.uint8)


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_cuts_are_found_to_the_picture(tmp_path: Path, fps: int) -> None:
    lengths = [1.2, 0.9, 2.1, 1.5]
    pictures = [scene(seed) for seed, seconds in enumerate(lengths) for _ in range(round(seconds * fps))]
    starts = np.cumsum([round(seconds * fps) for seconds in lengths])[:-1] / fps
    assert scanned(shoot(tmp_path / "v.mp4", pictures, fps=fps)).cuts == pytest.approx(starts.tolist())


@pytest.mark.parametrize(
    "at",
    [
        lambda n: zoomed(scene(1), 1.0 + 0.01 * n),
        lambda n: np.roll(scene(1), n // 2, axis=1),
        lambda n: brighter(scene(1), 3.0 if n in (40, 41, 42) else 1.0),
        lambda n: brighter(scene(1), 0.5 if n > 50 else 1.0),
        lambda n: glint(scene(1)) if 50 <= n < 56 else scene(1),
        lambda n: np.full((120, 160, 3), 255, np.uint8) if n == 50 else scene(1),
        lambda _n: scene(1),
        lambda n: brighter(scene(1), 0.02 * n),
    ],
    ids=["zoom", "pan", "flash", "lamp off", "glint", "white picture", "still", "fade in"],
)
def test_what_is_no_cut_is_not_taken_for_one(tmp_path: Path, at: Callable[[int], Picture]) -> None:
    assert scanned(shoot(tmp_path / "v.mp4", [at(number) for number in range(100)])).cuts == ()


def test_cuts_between_alike_scenes_of_a_real_operation(real_data: Path) -> None:
    """Seen by eye: five cuts, and in the other film one; the endoscope that moves is never cut."""
    folder = real_data / "video"
    cuts = scanned(folder / "narrated_cataract.mp4").cuts
    assert cuts == pytest.approx([7.15, 14.15, 20.95, 26.75, 32.85], abs=0.11)
    assert scanned(folder / "laparoscopy_silent.mp4").cuts == ()
    assert scanned(folder / "narrated_nasa.mp4").cuts == pytest.approx([8.008], abs=0.05)


def quarters() -> Picture:
    """Red, green over blue, white: upright and unmirrored in one way only."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:48, :80], picture[:48, 80:] = (230, 20, 20), (20, 230, 20)
    picture[48:, :80], picture[48:, 80:] = (20, 20, 230), (230, 230, 230)
    return picture


@pytest.mark.parametrize("reader", list(Reader))
@pytest.mark.parametrize("turn", [90.0, 180.0, -90.0])
def test_turned_videos_are_upright_with_every_reader(tmp_path: Path, reader: Reader, turn: float) -> None:
    if reader not in installed_readers():
        pytest.skip(f"{reader.value} is not installed")
    path = shoot(tmp_path / "v.mp4", [quarters()] * 30, turn=turn)
    expected = np.rot90(quarters(), round(turn / 90))
    pixels = frames_at(path, [0.5], reader=reader).pixels_thwc[0]
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 8
    found = probe(path)
    assert (found.height_px, found.width_px) == expected.shape[:2]
    assert scanned(path).probe.width_px == expected.shape[1]


@pytest.mark.parametrize("reader", list(Reader))
def test_oblong_pixels_are_made_square_with_every_reader(tmp_path: Path, reader: Reader) -> None:
    if reader not in installed_readers():
        pytest.skip(f"{reader.value} is not installed")
    path = shoot(tmp_path / "v.mp4", [quarters()] * 30, aspect=Fraction(3, 2))
    assert frames_at(path, [0.5], reader=reader).pixels_thwc.shape == (1, 96, 240, 3)
    assert frames_at(path, [0.5], reader=reader, short_side_px=48).pixels_thwc.shape == (1, 48, 120, 3)
    assert probe(path).width_px == 240


def test_odd_sizes_keep_every_column(tmp_path: Path) -> None:
    path = shoot(tmp_path / "v.mp4", [np.ascontiguousarray(quarters()[:95, :157])] * 5)
    assert frames_at(path, [0.1]).pixels_thwc.shape == (1, 95, 157, 3)


def test_chapters_of_the_container_are_read(tmp_path: Path) -> None:
    marks = [(0.0, 1.0, "Incision"), (1.0, 2.0, "  Capsulorhexis\n"), (2.0, 3.0, "")]
    path = shoot(tmp_path / "v.mkv", [scene(1)] * 80, chapters=marks)
    assert scanned(path).chapters == (
        Chapter(start_seconds=0.0, end_seconds=1.0, title="Incision"),
        Chapter(start_seconds=1.0, end_seconds=2.0, title="Capsulorhexis"),
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (LimitsConfig(max_pixels=9_999), r"pictures of 128 x 96 pixels, limits\.max_pixels is 9999"),
        (LimitsConfig(max_hours=0.0001), r"limits\.max_hours is 0\.0001"),
        (LimitsConfig(max_streams=1), r"2 streams, limits\.max_streams is 1"),
    ],
)
def test_a_file_that_asks_for_too_much_is_refused(tmp_path: Path, limits: LimitsConfig, words: str) -> None:
    path = film(tmp_path / "v.mp4", steady(2.0), [(np.zeros(16_000, np.float32), 16_000)])
    with pytest.raises(ValueError, match=words):
        scanned(path, limits=limits)
