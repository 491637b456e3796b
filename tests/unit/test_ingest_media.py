"""One pass over a video, single frames by second, and what is said of files that are not as they should be."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from filming import film, number_of, steady, tone
from numpy.typing import NDArray

from ingest.media import Reader, frames_at, installed_readers, probe, read_audio, scan

UNEVEN = [0.0, 0.1, 0.2, 0.9, 1.0, 1.04, 1.08, 2.5, 2.6, 4.0, 4.2, 4.9]
"""Presentation seconds of variable frame rate."""


def sampled(path: Path, fps: float = 2.0) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    scan(path, lambda second, pixels: found.append((second, number_of(pixels))), fps=fps, short_side_px=48)
    return found


def at_or_before(clock: list[float], second: float) -> int:
    return max((number for number, start in enumerate(clock) if start <= second + 1e-6), default=0)


def test_scan_takes_the_picture_at_or_before_each_tick(tmp_path: Path) -> None:
    path = film(tmp_path / "uneven.mp4", UNEVEN)
    expected = sorted({at_or_before(UNEVEN, tick / 2) for tick in range(10)})
    found = sampled(path)
    assert [number for _second, number in found] == expected
    assert [second for second, _number in found] == pytest.approx([UNEVEN[number] for number in expected])


@pytest.mark.parametrize("reader", installed_readers())
def test_glances_pass_at_ten_a_second_whatever_the_reader(tmp_path: Path, reader: Reader) -> None:
    path = film(tmp_path / "steady.mp4", steady(2.0, 25.0))
    glances: list[tuple[float, NDArray[np.uint8]]] = []
    scan(
        path,
        lambda _second, _pixels: None,
        fps=1.0,
        short_side_px=48,
        reader=reader,
        on_glance=lambda second, grey: glances.append((second, grey)),
    )
    seconds = [second for second, _ in glances]
    assert seconds == pytest.approx([int(tick * 2.5 + 1e-6) / 25.0 for tick in range(20)])
    assert all(grey.shape == (64, 64) and grey.dtype == np.uint8 for _, grey in glances)


def test_frames_at_follows_the_presentation_clock_in_any_order(tmp_path: Path) -> None:
    path = film(tmp_path / "uneven.mp4", UNEVEN, gop=4)
    asked = [4.95, 0.0, 0.95, 1.05, 2.49, 2.5, 0.95, 99.0, 3.0]
    frames = frames_at(path, asked, short_side_px=48)
    assert [number_of(pixels) for pixels in frames.pixels_thwc] == [at_or_before(UNEVEN, second) for second in asked]
    assert frames.pixels_thwc.shape == (len(asked), 48, 64, 3)


def test_frames_at_agrees_with_scan_however_far_it_jumps(tmp_path: Path) -> None:
    path = film(tmp_path / "long.mp4", steady(20.0), gop=10)
    frames = frames_at(path, [19.5, 3.33, 10.0, 0.05])
    assert [number_of(pixels) for pixels in frames.pixels_thwc] == [195, 33, 100, 0]
    assert frames.seconds.tolist() == pytest.approx([19.5, 3.3, 10.0, 0.0])


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".ts", ".webm"])
def test_other_containers_keep_the_clock(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"video{suffix}", steady(6.0, 25.0), b_frames=0)
    frames = frames_at(path, [0.0, 2.02, 5.9])
    assert [number_of(pixels) for pixels in frames.pixels_thwc] == [0, 50, 147]


def test_sound_starts_at_second_zero_and_is_as_long_as_it_is(tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(16_000, np.float32), tone(1.0), np.zeros(16_000, np.float32)])
    path = film(tmp_path / "sound.mp4", steady(3.0), [(samples, 16_000)])
    audio = read_audio(path)
    loud = np.abs(audio.reshape(-1)[: 3 * 16_000].reshape(30, -1)).mean(axis=1) > 0.05
    assert loud.tolist() == [False] * 10 + [True] * 10 + [False] * 10
    found = scan(path, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert found.audio is not None
    assert np.array_equal(found.audio, audio)
    assert found.notes == ()


def test_missing_sound_is_filled_so_that_later_words_keep_their_second(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for first in (0, 16_000, 48_000):
            block = av.AudioFrame.from_ndarray(np.full((1, 16_000), 8_000, np.int16), format="s16", layout="mono")
            block.sample_rate, block.pts = 16_000, first
            container.mux(track.encode(block))
        container.mux(track.encode(None))
    audio = read_audio(path)
    assert (np.abs(audio.reshape(-1, 4_000)).mean(axis=1) > 0.1).tolist() == [True] * 8 + [False] * 4 + [True] * 4


def test_of_several_audio_streams_the_fullest_is_taken_and_said(tmp_path: Path) -> None:
    sounds = [(tone(2.0, 8_000), 8_000), (tone(2.0, 16_000), 16_000)]
    path = film(tmp_path / "two.ts", steady(2.0), sounds)
    found = scan(path, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert found.probe.audio_stream_index == 1
    assert found.notes == ("2 audio streams: number 1 was taken (16000 Hz, highest sample rate)",)
    assert len(read_audio(path, 0)) == pytest.approx(32_000, abs=3_000)
    with pytest.raises(ValueError, match="audio stream 2 asked for, but it has 2"):
        read_audio(path, 2)


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    path = film(tmp_path / "mute.mp4", steady(2.0))
    found = scan(path, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert found.audio is None
    assert found.probe.audio_streams == 0
    assert found.probe.duration_seconds == pytest.approx(2.0, abs=0.11)


def test_a_cut_file_gives_what_decodes_and_says_so(tmp_path: Path) -> None:
    path = film(tmp_path / "whole.mkv", steady(20.0), b_frames=0)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    found = scan(cut, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert any(note.startswith("truncated: ") and "of 19.9 s decode" in note for note in found.notes)
    assert 5.0 < found.probe.duration_seconds < 19.0


def test_a_cut_file_with_its_index_in_front_is_saved_too(tmp_path: Path, real_data: Path) -> None:
    with av.open(str(real_data / "video" / "narrated_cataract.mp4")) as source:
        path = tmp_path / "front.mp4"
        with av.open(str(path), "w", options={"movflags": "faststart"}) as target:
            video = source.streams.video[0]
            copy = target.add_stream_from_template(video)
            for packet in source.demux(video):
                if packet.dts is not None:
                    packet.stream = copy
                    target.mux(packet)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = scan(cut, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert any(note.startswith("truncated: ") for note in found.notes), found.notes


def test_a_text_file_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nnot a video\n" * 20)
    for call in (probe, read_audio, lambda file: frames_at(file, [0.0])):
        with pytest.raises(ValueError, match=r"notes\.mp4: ") as raised:
            call(path)
        assert "\n" not in str(raised.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=16_000, layout="mono")
        block = av.AudioFrame.from_ndarray(tone(0.06)[None, :960], format="fltp", layout="mono")
        block.sample_rate, block.pts = 16_000, 0
        container.mux(track.encode(block))
        container.mux(track.encode(None))
    with pytest.raises(ValueError, match="no video stream in this file"):
        probe(path)


def test_a_video_stream_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "video.mp4", steady(2.0))
    data = path.read_bytes()
    start, index = data.index(b"mdat") + 4, data.index(b"moov")
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(data[:start] + bytes(index - 4 - start) + data[index - 4 :])
    with pytest.raises(ValueError, match=r"empty\.mp4: a video stream without a picture that decodes"):
        probe(empty)
    with pytest.raises(ValueError, match="without a picture that decodes"):
        scan(empty, lambda _second, _pixels: None, fps=1.0, short_side_px=48)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.mp4: not a readable video \(No such file"):
        probe(tmp_path / "gone.mp4")
