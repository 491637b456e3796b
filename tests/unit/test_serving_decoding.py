"""Uploads become a few small pictures in another process, whatever they hold."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from served_index import write_video

from ophclip.data.pictures import read_picture, square
from ophclip.serving.decoders import Decoders
from ophclip.serving.decoding import Kind, Upload, is_known
from ophclip.serving.metrics import Metrics
from ophclip.serving.refusing import RefusedError
from ophclip.serving_options import UploadLimits

LIMITS = UploadLimits(decoders=1, max_pixels=1_000_000, clip_seconds=20, clip_frames=10, decode_seconds=20)


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture(scope="module")
def decoders(metrics: Metrics) -> Iterator[Decoders]:
    made = Decoders(LIMITS, metrics)
    yield made
    made.close()


def picture(path: Path) -> Upload:
    return Upload(path=path, kind=Kind.PICTURE, short_side_px=64, fps=1.0)


def clip(path: Path, fps: float = 1.0) -> Upload:
    return Upload(path=path, kind=Kind.CLIP, short_side_px=64, fps=fps)


def refusal(decoders: Decoders, upload: Upload) -> str:
    with pytest.raises(RefusedError) as refused:
        decoders.decode(upload)
    assert refused.value.status_code == 422
    assert str(upload.path) not in refused.value.detail
    assert "\n" not in refused.value.detail
    return str(refused.value.detail)


@pytest.mark.parametrize(("height_px", "width_px"), [(72, 96), (333, 200), (40, 40), (30, 900)])
def test_a_picture_is_what_the_library_reads(height_px: int, width_px: int, decoders: Decoders, tmp_path: Path) -> None:
    coarse = np.random.default_rng(height_px).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for suffix in (".png", ".jpg", ".webp"):
        path = tmp_path / f"picture{suffix}"
        cv2.imwrite(str(path), cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC))
        assert is_known(path.read_bytes()[:512], Kind.PICTURE)
        (found,) = decoders.decode(picture(path))
        assert max(found.shape[:2]) <= 4 * min(found.shape[:2])
        theirs = square(read_picture(path), 64).astype(int)
        assert np.abs(square(found, 64).astype(int) - theirs).max() <= 1


def test_a_clip_is_a_few_frames_of_itself(decoders: Decoders, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", seconds=12)
    assert is_known(path.read_bytes()[:512], Kind.CLIP)
    assert [int(frame[30, 60].argmax()) for frame in decoders.decode(clip(path, fps=0.25))] == [0, 1, 2]
    many = decoders.decode(clip(path, fps=10))
    assert len(many) == LIMITS.clip_frames
    assert [int(frame[30, 60].argmax()) for frame in many] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_what_asks_for_too_much_is_refused_in_words(decoders: Decoders, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    cv2.imwrite(str(large), np.zeros((1001, 1000, 3), dtype=np.uint8))
    assert "too large" in refusal(decoders, picture(large))
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_of(60_000, 60_000))
    assert "picture" in refusal(decoders, picture(bomb))
    long = write_video(tmp_path / "long.mp4", seconds=25)
    assert "limits.max_hours" in refusal(decoders, clip(long))
    wide = write_video(tmp_path / "wide.mp4", seconds=1, width_px=1280, height_px=960)
    assert "1280 x 960 pixels" in refusal(decoders, clip(wide))
    for name, content in (("empty", b""), ("half.jpg", b"\xff\xd8\xff" + b"x" * 300)):
        (tmp_path / name).write_bytes(content)
        assert refusal(decoders, picture(tmp_path / name))
        assert refusal(decoders, clip(tmp_path / name))
    with av.open(str(tmp_path / "many.mkv"), "w") as container:
        streams = [container.add_stream("mpeg4", rate=10, width=32, height=32) for _ in range(20)]
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert "20 streams" in refusal(decoders, clip(tmp_path / "many.mkv"))


def png_of(width_px: int, height_px: int) -> bytes:
    """The head of a PNG of this size, and nothing of its pixels."""
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (body, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_playlist_is_no_known_format() -> None:
    for text in ("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "ffconcat version 1.0\nfile /etc/passwd\n", "<MPD></MPD>"):
        assert not is_known(text.encode(), Kind.CLIP)
    assert not is_known(b"GIF89a", Kind.PICTURE)
    assert not is_known(b"", Kind.CLIP)
    assert is_known((b"G" + bytes(187)) * 3, Kind.CLIP)


def test_a_process_that_dies_or_stands_still_costs_one_upload(metrics: Metrics, tmp_path: Path) -> None:
    decoders = Decoders(replace(LIMITS, decode_seconds=0.5), metrics)
    try:
        path = write_video(tmp_path / "clip.mp4", seconds=2)
        assert decoders.decode(clip(path))
        before = metrics.restarts._value.get()
        for kill, words in ((signal.SIGKILL, "was ended by SIGKILL"), (signal.SIGSTOP, "took longer than 0.5 s")):
            worker = decoders._free.get()
            decoders._free.put(worker)
            os.kill(worker._process.pid, kill)
            began = time.monotonic()
            assert words in refusal(decoders, clip(path))
            assert time.monotonic() - began < 5
            assert decoders.decode(clip(path))
        assert metrics.restarts._value.get() == before + 2
    finally:
        decoders.close()


def test_a_process_that_wants_more_memory_than_it_may_is_bounded(metrics: Metrics, tmp_path: Path) -> None:
    tight = replace(LIMITS, decode_memory_mb=700, max_pixels=2_000_000_000)
    decoders = Decoders(tight, metrics)
    try:
        bomb = tmp_path / "bomb.png"
        bomb.write_bytes(png_of(30_000, 30_000))
        assert "picture" in refusal(decoders, picture(bomb))
        good = tmp_path / "good.png"
        cv2.imwrite(str(good), np.zeros((80, 80, 3), dtype=np.uint8))
        assert decoders.decode(picture(good))[0].shape == (64, 64, 3)
        worker = decoders._free.get()
        decoders._free.put(worker)
        assert resource.prlimit(worker._process.pid, resource.RLIMIT_AS) == (700 << 20, 700 << 20)
        assert resource.prlimit(worker._process.pid, resource.RLIMIT_CORE) == (0, 0)
    finally:
        decoders.close()


def test_many_threads_share_few_processes(decoders: Decoders, tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{number}.mp4", seconds=1, shift=number) for number in range(3)]
    colours: dict[int, int] = {}

    def look(number: int) -> None:
        colours[number] = int(decoders.decode(clip(paths[number % 3]))[0][30, 60].argmax())

    threads = [threading.Thread(target=look, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert colours == {number: number % 3 for number in range(12)}
