"""What the page's tests need around them: a tiny index of videos that a browser plays, `ophclip serve`, Chromium."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SCRIPT = '<img src="x" onerror="window.stolen = true">'
"""A title that must stay a text."""
SECONDS = 16
COLOURS = {
    "narrated": ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 200)),
    "silent": ((220, 210, 40), (200, 40, 200), (40, 200, 200), (20, 20, 20)),
    "old": ((120, 60, 20), (120, 60, 20), (60, 20, 120), (60, 20, 120)),
}


def picture(colour: Sequence[int]) -> np.ndarray:
    """One frame [96, 128, 3] of a colour."""
    return np.full((96, 128, 3), colour, dtype=np.uint8)


def write_video(path: Path, colours: Sequence[Sequence[int]], codec: str = "libx264") -> Path:
    """Four seconds of each colour, ten frames a second, with a bar that moves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.gop_size = 10
        for number in range(40 * len(colours)):
            pixels = picture(colours[number // 40])
            pixels[:, number % 120 : number % 120 + 6] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def build_site(root: Path) -> Path:
    """An index of a narrated video of a corpus, whose title is a script, a silent one, and one no browser plays."""
    from served_index import write_bundle

    from ingest.manifest import MANIFEST_NAME, Manifest, Outcome, State, VideoRow
    from ingest.records import Clip
    from ingest.shards import sha256_of
    from ophclip.search.build import build_index

    write_bundle(root / "bundle")
    videos, corpus = root / "videos", root / "corpus"
    videos.mkdir()
    corpus.mkdir()
    narrated = write_video(root / "narrated.mp4", COLOURS["narrated"])
    row = VideoRow(
        video_id="narrated", path=str(narrated), source_relative=narrated.name, sha256=sha256_of(narrated), stamp="",
        recipe="", state=State.DONE, narrated=True, title=SCRIPT, license="CC BY 4.0",
    )  # fmt: skip
    clip = Clip(video_id="narrated", index=0, start_seconds=0.0, end_seconds=16.0, narration="<b>The lens</b> unfolds.")
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        manifest.finish(row, Outcome(clips=(clip,)))
    for name, codec, title in (("silent", "libx264", "A silent operation"), ("old", "mpeg4", "An old recording")):
        write_video(videos / f"{name}.mp4", COLOURS[name], codec)
        (videos / f"{name}.info.json").write_text(json.dumps({"title": title, "license": "CC0"}))
    build_index(root / "bundle", root / "index", corpus=corpus, videos=videos)
    return root / "index"


@dataclass
class Service:
    """A running `ophclip serve`."""

    address: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it as a service manager would."""
        self.process.terminate()
        assert self.process.wait(timeout=60) in (0, -signal.SIGTERM)


@contextmanager
def serving(index: Path, log: Path, *options: str) -> Iterator[Service]:
    """`ophclip serve INDEX` on a free port, ready."""
    command = [sys.executable, "-m", "ophclip.cli", "serve", str(index), "--port", "0", *options]
    command += ["threads=1", "limits.decoders=1"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env={**os.environ, "OMP_NUM_THREADS": "1"})
    service = Service(address="", process=process)
    try:
        service.address = _address(process, log)
        yield service
    finally:
        if process.poll() is None:
            service.stop()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as its log says, once it is ready."""
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"listening"' in line:
                address = f"http://127.0.0.1:{json.loads(line)['port']}"
                with urlopen(f"{address}/ready", timeout=30) as answer:
                    assert answer.status == 200
                return address
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextmanager
def browsing() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    if not CHROMIUM.is_file():
        pytest.skip(f"no {CHROMIUM}; install Debian's chromium to run this test")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page did besides showing itself."""

    origin: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Listen to a page."""
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def elsewhere(self) -> list[str]:
        """Requests that left the origin."""
        kept = (f"{self.origin}/", "data:", f"blob:{self.origin}/")
        return [url for url in self.requests if not url.startswith(kept)]
