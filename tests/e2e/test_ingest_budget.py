"""A run in which too much fails is stopped in one line; what is done is kept, and the next run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filming import film, steady

from ingest.config import (
    DuplicatesConfig,
    IngestConfig,
    OverlayConfig,
    Retry,
    ScreenConfig,
    ScreenKind,
    ShardsConfig,
)
from ingest.manifest import MANIFEST_NAME, Manifest, State
from ingest.pool import Crash
from ingest.run import ingest
from ingest.shards import ShardReader

CONFIG = IngestConfig(
    workers=1,
    shards=ShardsConfig(fps=1.0, video_frames=2, short_side_px=32),
    screen=ScreenConfig(kind=ScreenKind.OFF),
    duplicates=DuplicatesConfig(enabled=False),
    overlays=OverlayConfig(enabled=False),
)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Twelve of which the worker may die, two that are fine, and one that is no video."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in (*(f"bad{number:02d}" for number in range(12)), "good0", "good1"):
        film(folder / f"{name}.mp4", steady(2.0 if name.startswith("bad") else 1.0))
        with (folder / f"{name}.mp4").open("ab") as file:
            file.write(name.encode())  # no two have the same bytes
    (folder / "no_video.mp4").write_text("not a video\n")
    return folder


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names whose worker dies; the pool of processes is a loop."""
    names = {f"bad{number:02d}" for number in range(12)}

    def run_pool(build: Callable[[], Any], tasks: Sequence[Any], **_options: object) -> Iterator[tuple[Any, Any]]:
        work = build()
        for batch in tasks:
            dies = any(task.video_id in names for task in batch.tasks)
            yield batch, Crash("was ended by SIGKILL") if dies else work(batch, lambda _moment: None)

    monkeypatch.setattr("ingest.work.run_pool", run_pool)
    monkeypatch.setattr("ingest.stage.build_transcriber", lambda _config: None)
    return names


def states(corpus: Path) -> dict[str, State]:
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        return {row.video_id: row.state for row in manifest.videos()}


def test_a_run_that_rots_is_stopped_and_goes_on(videos: Path, tmp_path: Path, deadly: set[str]) -> None:
    corpus = tmp_path / "corpus"
    told = r"^11 of \d+ videos have failed, error_budget allows 10 of 15; the last one: bad\d\d the worker was ended by"
    with pytest.raises(ValueError, match=told) as caught:
        ingest(videos, corpus, CONFIG)
    assert "\n" not in str(caught.value)
    assert sum(state is State.FAILED for state in states(corpus).values()) == 11
    summary = ingest(videos, corpus, CONFIG)
    assert (summary.done, summary.rejected, summary.failed) == (2, 1, 12)
    deadly.clear()
    summary = ingest(videos, corpus, replace(CONFIG, retry=Retry.FAILED))
    assert (summary.videos, summary.done, summary.rejected, summary.failed) == (15, 14, 1, 0)
    reader = ShardReader(corpus)
    reader.verify()
    reader.close()


def test_a_larger_budget_lets_it_end(videos: Path, tmp_path: Path, deadly: set[str]) -> None:
    summary = ingest(videos, tmp_path / "corpus", replace(CONFIG, error_budget=0.9))
    assert (summary.done, summary.rejected, summary.failed) == (2, 1, 12)
    with pytest.raises(ValueError, match=r"error_budget: 1.5 given, expected a share from 0 to 1"):
        IngestConfig(error_budget=1.5)
