"""Recordings put together from parts, cut off, written over: what can be saved is saved, the rest is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from filming import film, tone
from recording import (
    COLOURS,
    FPS,
    H264,
    PROGRAM,
    RECORDERS,
    TRANSPORT,
    colours_in,
    number_in,
    onset_seconds,
    record,
    seen,
)

from ingest.config.sources import LimitsConfig
from ingest.media import frames_at, probe, read_audio, scan

PARTS = {".ts": TRANSPORT, ".mpg": PROGRAM, "mpeg2 .ts": RECORDERS["MPEG-2 transport stream"]}


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("start", [0.0, 1.0, 60.0, 40_000.0, 90_000.0])
def test_a_clock_that_begins_anew_loses_nothing(tmp_path: Path, name: str, start: float) -> None:
    made = PARTS[name]
    first = record(tmp_path / f"a{made.suffix}", made, start_seconds=5.0)
    second = record(tmp_path / f"b{made.suffix}", made, numbers=range(50, 100), start_seconds=start)
    path = joined(tmp_path / f"v{made.suffix}", first, second)
    found, seconds, pictures = seen(path, 10 * FPS)
    numbers = [number_in(one) for one in pictures]
    assert numbers == sorted(numbers)
    assert len(numbers) >= 97, "at the seam a picture or two may go"
    assert np.abs(np.array(seconds) - np.array(numbers) / FPS).max() < 0.1
    assert found.notes == ("its timestamps leap at 2.0 s: seconds go on from there",)
    assert found.audio is not None
    assert len(found.audio) == pytest.approx(64_000, abs=1_600)
    assert onset_seconds(found.audio[33_600:]) == pytest.approx(0.9, abs=0.1)
    assert np.array_equal(read_audio(path)[:60_000], found.audio[:60_000])
    assert probe(path).duration_seconds == pytest.approx(4.0, abs=0.1)
    frames = frames_at(path, [3.5, 0.5, 2.5])
    assert [abs(number_in(one) - at) <= 2 for one, at in zip(frames.pixels_thwc, (87, 12, 62), strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize("gap_seconds", [3.0, 7.0])
def test_a_short_gap_is_kept(tmp_path: Path, gap_seconds: float) -> None:
    first = record(tmp_path / "a.ts", TRANSPORT)
    second = record(tmp_path / "b.ts", TRANSPORT, numbers=range(50, 100), start_seconds=2.0 + gap_seconds)
    found, seconds, pictures = seen(joined(tmp_path / "v.ts", first, second), FPS)
    at = seconds[[number_in(one) for one in pictures].index(75)]
    assert at == pytest.approx(3.0 + gap_seconds, abs=0.1)
    assert found.audio is not None
    assert len(found.audio) == pytest.approx((4.0 + gap_seconds) * 16_000, abs=1_600)
    assert bool(found.notes) == (gap_seconds > 3.0)


def test_a_long_gap_is_believed_where_the_container_says_so(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mkv", [0.0, 0.04, 0.08, 95.0, 95.04], b_frames=0)
    found = scan(path, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert found.probe.duration_seconds == pytest.approx(95.08, abs=0.05)
    assert found.notes == ("no new picture from 0.1 to 95.0 s",)


@pytest.mark.parametrize("stamp_ms", [9, 60_000])
def test_a_damaged_clock_is_set_right(tmp_path: Path, stamp_ms: int) -> None:
    made = replace(RECORDERS["Matroska, 5.1"], container_options={"cluster_time_limit": "1000"})
    data = bytearray(record(tmp_path / "v.mkv", made, numbers=range(250)).read_bytes())
    clusters = [place for place in range(len(data)) if data[place : place + 4] == b"\x1f\x43\xb6\x75"]
    stamp = data.index(b"\xe7\x82", clusters[-4])
    data[stamp + 2 : stamp + 4] = stamp_ms.to_bytes(2, "big")
    (tmp_path / "v.mkv").write_bytes(data)
    found, seconds, pictures = seen(tmp_path / "v.mkv", FPS)
    numbers = np.array([number_in(one) for one in pictures])
    assert len(numbers) >= 248
    assert np.abs(np.array(seconds) - numbers / FPS).max() < 0.1
    assert found.notes[0].startswith("its timestamps leap at ")


@pytest.mark.parametrize("name", PARTS)
def test_sound_that_changes_its_form_goes_on(tmp_path: Path, name: str) -> None:
    made = PARTS[name]
    mono = replace(made, sound=(made.sound[0], 44_100, "mono"))
    first = record(tmp_path / f"a{made.suffix}", made)
    second = record(tmp_path / f"b{made.suffix}", mono, numbers=range(50, 100), start_seconds=2.0)
    found, _seconds, _pictures = seen(joined(tmp_path / f"v{made.suffix}", first, second), 1.0)
    assert found.audio is not None
    assert onset_seconds(found.audio[33_600:]) == pytest.approx(0.9, abs=0.1)


@pytest.mark.parametrize("name", PARTS)
def test_pictures_of_another_size_are_fitted_into_the_first(tmp_path: Path, name: str) -> None:
    made = PARTS[name]
    wide = replace(made, size=(192, 96))
    first = record(tmp_path / f"a{made.suffix}", made)
    second = record(tmp_path / f"b{made.suffix}", wide, numbers=range(50, 100), start_seconds=2.0)
    path = joined(tmp_path / f"v{made.suffix}", first, second)
    found, _seconds, pictures = seen(path, FPS)
    assert {one.shape for one in pictures} == {(96, 128, 3)}
    assert (found.probe.width_px, found.probe.height_px) == (128, 96)
    last = pictures[-1]
    assert not last[:16].any()
    assert not last[80:].any()
    assert np.abs(colours_in(last[16:80]) - COLOURS).max() < 8
    assert number_in(last[16:80]) >= 95
    assert any("pictures of 128 x 96 pixels become 192 x 96 at" in note for note in found.notes)
    assert frames_at(path, [0.5, 3.2]).pixels_thwc.shape == (2, 96, 128, 3)
    limits = LimitsConfig(max_pixels=128 * 96)
    cut = scan(path, lambda _second, _pixels: None, fps=1.0, short_side_px=48, limits=limits)
    assert any("a picture is larger than limits.max_pixels" in note for note in cut.notes)


@pytest.mark.parametrize(
    "pids", [{"mpegts_start_pid": "512"}, {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "4352"}]
)
def test_streams_that_are_numbered_anew_are_the_same_ones_or_named(tmp_path: Path, pids: dict[str, str]) -> None:
    first = record(tmp_path / "a.ts", TRANSPORT)
    second = record(tmp_path / "b.ts", replace(TRANSPORT, container_options=pids), numbers=range(50, 100))
    path = joined(tmp_path / "v.ts", first, second)
    found, _seconds, pictures = seen(path, FPS)
    if len(pids) == 1:
        assert number_in(pictures[-1]) >= 97
    else:
        assert found.notes == ("a stream begins midway, which was not read",)
    assert len(read_audio(path)) >= 31_000


CUT = [
    "h264 in AVI",
    "MJPEG, 8 kHz",
    "MPEG-2",
    "transport stream",
    "WMV",
    "Matroska, 5.1",
    "Flash",
    "WebM",
    "in fragments",
]


@pytest.mark.parametrize("name", CUT)
def test_a_file_cut_in_the_middle_keeps_its_first_half(tmp_path: Path, name: str) -> None:
    made = RECORDERS[name]
    whole = record(tmp_path / f"whole{made.suffix}", made, numbers=range(250)).read_bytes()
    path = tmp_path / f"v{made.suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    found, seconds, pictures = seen(path, 5.0)
    numbers = np.array([number_in(one) for one in pictures])
    assert len(numbers) > 15
    assert np.abs(np.array(seconds) - numbers / FPS).max() < 0.15
    if name not in ("MPEG-2", "transport stream", "in fragments"):  # nothing in these tells how long they were
        assert found.notes, "what is missing is named"
    assert frames_at(path, [0.0, 1.0, 99.0]).pixels_thwc.shape[0] == 3


def test_pictures_that_decode_with_faults_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = bytearray(record(tmp_path / "v.mp4", replace(H264, size=(320, 240), sound=None)).read_bytes())
    for place in rng.integers(len(data) // 4, len(data) // 2, 4):
        data[place : place + 16] = rng.bytes(16)
    (tmp_path / "v.mp4").write_bytes(data)
    notes = seen(tmp_path / "v.mp4", 1.0)[0].notes
    assert any("pictures decode with faults" in note for note in notes), notes


def test_fields_of_two_moments_are_not_woven_into_a_comb(tmp_path: Path) -> None:
    """A bright bar moves by 20 columns between the two fields of a picture."""
    path, size = tmp_path / "v.mpg", (720, 576)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25)
        (video.width, video.height), video.pix_fmt = size, "yuv420p"
        video.options = {"flags": "+ildct+ilme", "b": "8M"}
        for number in range(8):
            woven = np.full((size[1], size[0], 3), 40, dtype=np.uint8)
            for field in (0, 1):
                left = 100 + 20 * (2 * number + field)
                woven[field::2, left : left + 100] = 220
            frame = av.VideoFrame.from_ndarray(woven, format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    pictures: list[np.ndarray] = []
    scan(path, lambda _second, pixels: pictures.append(pixels), fps=25.0, short_side_px=144)
    for pixels in pictures:
        rows = pixels[10:-10].astype(int)
        assert np.abs(np.diff(rows, axis=0)).mean() < 1.0, "neighbouring rows are of one moment"


def attached(path: Path) -> Path:
    """Sound with a cover picture."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=16_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
        picture.pts = 0
        container.mux((*cover.encode(picture), *cover.encode(None)))
        block = av.AudioFrame.from_ndarray(tone(0.064)[None], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux((*track.encode(block), *track.encode(None)))
    return path


def unknown_codec(path: Path) -> Path:
    record(path, replace(H264, sound=None))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC"))
    return path


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("empty.mp4", lambda path: path.write_bytes(b""), r"not a readable video \("),
        ("cover.mp4", attached, "no video stream in this file"),
        ("odd.mp4", unknown_codec, "its pictures are coded in a way that FFmpeg does not know"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / name
    make(path)
    for call in (probe, lambda file: frames_at(file, [0.0]), lambda file: seen(file, 1.0)):
        with pytest.raises(ValueError, match=rf"{name}: {words}") as raised:
            call(path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_one_picture_is_a_video(tmp_path: Path, suffix: str) -> None:
    path = record(tmp_path / f"v{suffix}", replace(H264, suffix=suffix, sound=None), numbers=[5])
    found, _seconds, pictures = seen(path, 2.0)
    assert [number_in(one) for one in pictures] == [5]
    assert found.probe.duration_seconds > 0.0
    assert number_in(frames_at(path, [3.0]).pixels_thwc[0]) == 5


def test_titles_in_another_encoding_are_no_fault(tmp_path: Path) -> None:
    path = record(tmp_path / "v.mkv", replace(H264, title="Operation von Herrn Mueller"))
    path.write_bytes(path.read_bytes().replace(b"Mueller", b"M\xfcller!"))
    assert len(seen(path, 10 * FPS)[2]) == 50


def test_sound_that_outlasts_the_pictures_is_told(tmp_path: Path) -> None:
    found, _seconds, _pictures = seen(record(tmp_path / "v.mp4", H264, sound_seconds=6.0), 1.0)
    assert found.picture_end_seconds == pytest.approx(2.0, abs=0.05)
    assert found.probe.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert found.notes == ("sound goes on for 4.0 s after the last picture",)


FUZZED = [
    "h264",
    "in fragments",
    "h264 in AVI",
    "MPEG-2",
    "transport stream",
    "WMV",
    "Matroska, 5.1",
    "Flash",
    "MXF",
    "WebM",
]


@pytest.mark.parametrize("name", FUZZED)
def test_whatever_is_damaged_ends_in_a_scan_or_in_one_line(tmp_path: Path, name: str) -> None:
    made = RECORDERS[name]
    whole = record(tmp_path / f"whole{made.suffix}", made).read_bytes()
    rng = np.random.default_rng(sum(name.encode()))
    for attempt in range(6):
        data, path = bytearray(whole), tmp_path / f"v{attempt}{made.suffix}"
        first = int(rng.integers(len(data)))
        last = first + int(rng.integers(1, len(data) // 5))
        if attempt % 3 == 0:
            for place in rng.integers(0, len(data), 20):
                data[place] = rng.integers(256)
        elif attempt % 3 == 1:
            data[first:last] = bytes(len(data[first:last]))
        else:
            del data[first:last]
        path.write_bytes(data)
        for call in (probe, read_audio, lambda file: frames_at(file, [0.7, 1.9]), lambda file: seen(file, 2.0)):
            said = complaint(call, path)
            assert not said or (said.startswith(f"{path}: ") and "\n" not in said)


def complaint(call: Callable[[Path], object], path: Path) -> str:
    try:
        call(path)
    except ValueError as error:
        return str(error)
    return ""
