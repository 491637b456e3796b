"""Damaged pictures and clips, by the hundred: each is answered or refused, none brings down or holds up the service."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from served_index import Asking, write_index, write_video

from ophclip.serving.app import create_app
from ophclip.serving.service import Service
from ophclip.serving_options import ServingConfig, UploadLimits

LIMITS = UploadLimits(decoders=2, decode_seconds=20, clip_seconds=20, clip_frames=4, max_pixels=4_000_000)
FORMATS = {"mp4": "mpeg4", "mkv": "mpeg4", "avi": "mpeg4", "mov": "mjpeg", "webm": "libvpx", "ts": "mpeg2video"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(write_index(tmp_path_factory.mktemp("served")), ServingConfig(limits=LIMITS))
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Route and bytes of whole pictures and clips in several formats."""
    folder = tmp_path_factory.mktemp("whole")
    random = np.random.default_rng(0)
    found = []
    for suffix in (".png", ".jpg", ".webp"):
        pixels = cv2.resize(random.integers(0, 256, (9, 12, 3), dtype=np.uint8), (120, 90))
        found.append(("image", cv2.imencode(suffix, pixels)[1].tobytes()))
    for suffix, codec in FORMATS.items():
        path = folder / f"clip.{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10, width=64, height=48)
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(12):
                frame = np.full((48, 64, 3), number * 20, dtype=np.uint8)
                frame[:, number * 4 : number * 4 + 6] = random.integers(0, 256, (48, 6, 3))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        found.append(("video", path.read_bytes()))
    found.append(("video", write_video(folder / "other.mp4", seconds=2).read_bytes()))
    return found


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The same bytes with one kind of damage; the first few stay more often than not, so that decoders see it."""
    data = bytearray(content)
    first = 0 if random.random() < 0.2 else min(16, len(data) - 1)

    def place() -> int:
        return int(random.integers(first, len(data)))

    match int(random.integers(0, 7)):
        case 0:
            del data[place() :]
        case 1:
            for _ in range(int(random.integers(1, 20))):
                data[place()] = int(random.integers(0, 256))
        case 2:
            at = place()
            data[at : at + 4] = random.choice([b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
        case 3:
            at = place()
            data[at:at] = random.bytes(int(random.integers(1, 200)))
        case 4:
            at, other = place(), place()
            data[at : at + 32], data[other : other + 32] = data[other : other + 32], data[at : at + 32]
        case 5:
            at = place()
            del data[at : at + int(random.integers(1, 100))]
        case _:
            at = place()
            data[at:at] = data[place() :][:300] * int(random.integers(1, 30))
    return bytes(data)


def bombarded(service: Service, files: list[tuple[str, bytes]], count: int, seed: int) -> Counter[int]:
    ask, random, counts = Asking(create_app(service)), np.random.default_rng(seed), Counter[int]()
    for number in range(count):
        route, content = files[number % len(files)]
        began = time.monotonic()
        answer = ask.post(f"/v1/embed/{route}", content=mutated(content, random))
        counts[answer.status_code] += 1
        assert answer.status_code in (200, 415, 422), (number, answer.text)
        if answer.status_code != 200:
            assert set(answer.json()) == {"error"}
            assert str(service.uploads) not in answer.text
        assert time.monotonic() - began < 3 * LIMITS.decode_seconds
        assert not list(service.uploads.iterdir())
    for route, content in files:
        assert ask.post(f"/v1/embed/{route}", content=content).status_code == 200
    return counts


def test_a_hundred_damaged_files_are_answered_or_refused(service: Service, files: list[tuple[str, bytes]]) -> None:
    counts = bombarded(service, files, count=100, seed=1)
    assert min(counts[200], counts[422] + counts[415]) > 10, counts


@pytest.mark.slow
def test_two_thousand_damaged_files_are_answered_or_refused(service: Service, files: list[tuple[str, bytes]]) -> None:
    counts = bombarded(service, files, count=2000, seed=2)
    assert min(counts[200], counts[422] + counts[415]) > 200, counts


def test_a_playlist_in_a_clips_clothes_reads_no_other_file(service: Service, tmp_path: Path) -> None:
    """What FFmpeg would take for a playlist is refused, whatever stands before it."""
    secret = write_video(tmp_path / "secret.mp4", seconds=1)
    ask = Asking(create_app(service))
    lists = (f"#EXTM3U\n#EXTINF:1,\n{secret}\n", f"ffconcat version 1.0\nfile {secret}\n", f"file '{secret}'\n")
    for text in lists:
        for before in (b"", b"\n", b"\x00\x00\x00\x18ftypmp42", b"\x1aE\xdf\xa3", b"RIFF\x00\x10\x00\x00AVI "):
            answer = ask.post("/v1/embed/video", content=before + text.encode() + bytes(600))
            assert answer.status_code in (415, 422), answer.text
