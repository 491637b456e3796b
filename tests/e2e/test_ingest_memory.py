"""Ingest takes no more memory for its two hundredth video than for its sixtieth."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from filming import film, steady, tone

VIDEOS, WARM, LAST = 200, 60, 170
"""After the last a worker without work ends."""
MOST_MB_PER_100_VIDEOS = 25.0

reads_proc = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="reads Linux's /proc")


def slope_mb_per_100(points: Sequence[tuple[int, float]]) -> float:
    """The median slope over all pairs of (videos done, MB) that lie far enough apart (Theil and Sen)."""
    done, megabytes = (np.array(column, float) for column in zip(*points, strict=True))
    apart = done[None, :] - done[:, None]
    slopes = (megabytes[None, :] - megabytes[:, None])[apart >= 30] / apart[apart >= 30]
    return float(np.median(slopes) * 100)


def memory_mb(root: int) -> float:
    """The resident set size of a process and all its descendants, in MB; 0 where one ended meanwhile.

    Not the proportional one: that grows whenever a process of somebody else ends that had mapped the same libraries.
    """
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(parent, []).append(int(folder.name))
    family, total = [root], 0
    for process in family:
        family += parents.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return 0.0
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
    return total / 1024


def videos_done(manifest: Path) -> int:
    """How many videos the manifest calls done; 0 while there is none."""
    try:
        with sqlite3.connect(f"file:{manifest}?mode=ro", uri=True) as reader:
            return int(reader.execute("SELECT count(*) FROM videos WHERE state='done'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_leak_of_half_a_megabyte_a_video_would_be_found() -> None:
    rng = np.random.default_rng(0)
    done = np.sort(rng.integers(WARM, LAST, 300))
    noise = rng.normal(0, 10, 300) + 80 * (rng.random(300) < 0.1)
    flat = slope_mb_per_100(list(zip(done.tolist(), (900 + noise).tolist(), strict=True)))
    leaking = slope_mb_per_100(list(zip(done.tolist(), (900 + noise + 0.5 * done).tolist(), strict=True)))
    assert abs(flat) < MOST_MB_PER_100_VIDEOS / 2
    assert leaking > 1.5 * MOST_MB_PER_100_VIDEOS


@reads_proc
def test_memory_that_others_share_counts_in_full(tmp_path: Path) -> None:
    shared = tmp_path / "library"
    shared.write_bytes(bytes(40_000_000))
    maps = f"import numpy as np; m = np.memmap({str(shared)!r}, mode='r'); m.sum(); print(flush=True); input()"

    def mapping() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", maps], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    with mapping() as ours:
        alone = memory_mb(ours.pid)
        with mapping() as other:
            together = memory_mb(ours.pid)
            other.kill()
        ours.kill()
    assert alone > 40
    assert abs(together - alone) < 1


@pytest.mark.slow
@reads_proc
def test_memory_is_flat_over_two_hundred_videos(tmp_path: Path) -> None:
    folder, corpus = tmp_path / "videos", tmp_path / "corpus"
    folder.mkdir()
    for number in range(VIDEOS):
        sound = [(tone(1.0 + number / 100, hertz=200.0 + number), 16_000)] if number % 2 else []
        film(folder / f"{number:03}.mp4", steady(1.0 + number / 50, 5.0), sound)
    options = ["screen.kind=off", "overlays.frames=1", "duplicates.enabled=false", "workers=2"]
    command = [sys.executable, "-m", "ophclip.cli", "ingest", str(folder), "--out", str(corpus), *options]
    points: list[tuple[int, float]] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        while process.poll() is None:
            done = videos_done(corpus / "manifest.sqlite")
            megabytes = memory_mb(process.pid)
            if WARM <= done < LAST and megabytes:
                points.append((done, megabytes))
            time.sleep(0.1)
    assert process.returncode == 0
    assert videos_done(corpus / "manifest.sqlite") == VIDEOS
    assert len(points) >= 20, "too few moments were seen"
    slope = slope_mb_per_100(points)
    assert slope <= MOST_MB_PER_100_VIDEOS, f"{slope:+.1f} MB per 100 videos"
