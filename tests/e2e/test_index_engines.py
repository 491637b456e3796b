"""Whoever encodes the videos of an index, on however many processes: every byte of it is the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from index_content import index_content
from served_index import write_bundle, write_video
from test_engines import environment

from ingest.manifest import MANIFEST_NAME, Manifest, Outcome, State, VideoRow
from ingest.records import Clip
from ingest.shards import sha256_of
from ophclip.config import IndexConfig
from ophclip.search.build import build_index


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, a corpus of one narrated video, a folder of two more and of a file that is none; their index."""
    root = tmp_path_factory.mktemp("root")
    write_bundle(root / "bundle")
    for number, name in enumerate(("narrated", "videos/b", "videos/c")):
        write_video(root / f"{name}.mp4", 16 - 5 * number, number)
    (root / "videos" / "none.mp4").write_text("not a video")
    path = root / "narrated.mp4"
    row = VideoRow(
        video_id="narrated", path=str(path), source_relative=path.name, sha256=sha256_of(path), stamp="", recipe="",
        state=State.DONE, narrated=True, title="A title",
    )  # fmt: skip
    clip = Clip(video_id="narrated", index=0, start_seconds=2.0, end_seconds=7.5, narration="Said.")
    (root / "corpus").mkdir()
    with Manifest(root / "corpus" / MANIFEST_NAME) as manifest:
        manifest.finish(row, Outcome(clips=(clip,)))
    found = build_index(root / "bundle", root / "here", corpus=root / "corpus", videos=root / "videos")
    assert (found.added, found.clips, len(found.failed)) == (3, 1, 1)
    return root


def test_what_is_equal_is_seen_to_be_equal_and_what_is_not_is_not(root: Path) -> None:
    given = {"corpus": root / "corpus", "videos": root / "videos"}
    build_index(root / "bundle", root / "again", **given)
    assert index_content(root / "again") == index_content(root / "here")
    build_index(root / "bundle", root / "other", **given, config=IndexConfig(thumbnail_width_px=64))
    assert index_content(root / "other") != index_content(root / "here")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--workers", "2"),
        ("--engine", "ray", "--workers", "2"),
        ("--engine", "slurm", "slurm.cluster=local", "slurm.array_size=2", "slurm.cpus=1"),
    ],
    ids=lambda options: " ".join(options[:2]),
)
def test_by_whom_does_not_matter(root: Path, options: tuple[str, ...]) -> None:
    out = root / "-".join(options[:2]).strip("-")
    begin = [sys.executable, "-m", "ophclip.cli", "index", str(root / "bundle"), str(root / "corpus")]
    command = [*begin, "--videos", str(root / "videos"), "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd=root)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "(3 added, 0 there before, 1 failed)" in done.stdout
    assert "none.mp4: " in done.stderr
    assert index_content(out) == index_content(root / "here")
