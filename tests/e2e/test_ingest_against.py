"""Evaluation videos stay out of a corpus however they were copied: real recordings, coded anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from copied_films import copy

from ingest import repeats
from ingest.config import IngestConfig
from ingest.config.pictures import OverlayConfig, ScreenConfig, ScreenKind
from ingest.manifest import State
from ingest.pictures import duplicates
from ingest.run import ingest


@pytest.mark.slow
def test_a_cropped_mirrored_trimmed_copy_of_a_real_evaluation_video_is_refused(real_data: Path, tmp_path: Path) -> None:
    videos, evaluation = tmp_path / "videos", tmp_path / "evaluation"
    videos.mkdir()
    evaluation.mkdir()
    for name in ("laparoscopy_silent", "narrated_cataract"):
        (evaluation / f"{name}.mp4").symlink_to(real_data / "video" / f"{name}.mp4")
        source = real_data / "video" / f"{name}.mp4"
        copy(source, videos / f"{name}_cropped.mp4", margins=(0.0, 0.08, 0.13, 0.04), mirror=False, trim=1.3)
        copy(source, videos / f"{name}_mirrored.mp4", margins=(0.05, 0.05, 0.0, 0.0), mirror=True, trim=0.4)
    copy(real_data / "video" / "narrated_nasa.mp4", videos / "other.mp4", margins=(0, 0, 0, 0), mirror=False, trim=0.0)
    config = IngestConfig(
        against=[str(evaluation)],
        screen=ScreenConfig(kind=ScreenKind.OFF),
        overlays=OverlayConfig(enabled=False),
    )
    told = {one.file: one for one in ingest(videos, tmp_path / "corpus", config).reports}
    assert sorted(told) == sorted(path.name for path in videos.iterdir() if path.stem != "other")
    for file, one in told.items():
        original = evaluation / f"{file.rpartition('_')[0]}.mp4"
        assert one.state is State.REJECTED
        assert one.reason.startswith(f"evaluation video {original} ("), one.reason
        how = one.reason.rpartition("(")[2]
        assert ("mirrored" in how, "cropped" in how) == ("mirrored" in file, True)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(duplicates, "against")
        patch.delattr(repeats, "matches")
        again = ingest(videos, tmp_path / "corpus", config)
    assert {one.file: one for one in again.reports} == told, "nothing is new, so nothing is compared"
