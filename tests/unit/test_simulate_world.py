"""Worlds on disk: the files that are promised, the same bytes twice, continuation and refusal."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest

from ophclip.simulate import SimulateConfig, Site, contact_sheet, simulate
from ophclip.simulate.casebook import casebook
from ophclip.simulate.language import Instrument
from ophclip.simulate.speech import find_voice
from ophclip.simulate.video import draw_clock
from ophclip.simulate.world import world_digest


def _config(out: Path, **changes: object) -> SimulateConfig:
    values: dict[str, object] = {
        "out": str(out), "narrated": 0, "silent": 1, "held_out": 2, "seed": 4, "height_px": 96, "pace": 0.12,
        "max_fps": 10.0, "workers": 2,
    }  # fmt: skip
    return SimulateConfig(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    made = simulate(_config(out))
    assert made.rendered == 3
    return out


def _rows(path: Path, separator: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


def test_world_has_the_promised_files_and_no_others(world: Path) -> None:
    names = {path.relative_to(world).as_posix() for path in world.rglob("*") if path.is_file()}
    video = next(iter((world / "videos").glob("*.mp4"))).stem
    assert names == {
        f"videos/{video}.mp4", f"videos/{video}.info.json", "world.json",
        "truth/phases.csv", "truth/instruments.csv", "truth/narrations.csv", "truth/videos.csv",
        "held_out/cataract101/annotations.csv", "held_out/cataract101/videos.csv", "held_out/cataract101/phases.csv",
        "held_out/cataract101/videos/case_301.mp4",
        "held_out/ophnet/OphNet2024_loca_challenge_phase.csv", "held_out/ophnet/phase_names.csv",
        "held_out/ophnet/videos/case_1001.mp4",
        "held_out/instruments/presence.csv", "held_out/instruments/boxes.csv",
    }  # fmt: skip


def test_cataract101_frames_lead_back_to_the_seconds_of_the_program(world: Path) -> None:
    case = next(case for case in casebook(_config(world)) if case.name == "case_301")
    video = _rows(world / "held_out/cataract101/videos.csv", ";")[0]
    starts = _rows(world / "held_out/cataract101/annotations.csv", ";")
    assert video["VideoID"] == "301"
    assert len(starts) == len(case.program.phases)
    for row, phase in zip(starts, case.program.phases, strict=True):
        assert int(row["FrameNo"]) / float(video["FPS"]) == pytest.approx(phase.start_seconds, abs=0.11)
    with av.open(str(world / case.path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == int(video["Frames"])


def test_presence_has_a_row_for_every_second_and_agrees_with_the_boxes(world: Path) -> None:
    presence = _rows(world / "held_out/instruments/presence.csv")
    boxes = _rows(world / "held_out/instruments/boxes.csv")
    assert set(presence[0]) == {"video", "seconds"} | {item.value for item in Instrument}
    marked = {(row["video"], row["seconds"], name.value) for row in presence for name in Instrument if row[name] == "1"}
    assert marked == {(row["video"], row["seconds"], row["instrument"]) for row in boxes}
    assert marked


def test_metadata_is_what_yt_dlp_writes(world: Path) -> None:
    info = json.loads(next((world / "videos").glob("*.info.json")).read_text(encoding="utf-8"))
    assert {"id", "title", "description", "uploader", "license", "upload_date", "webpage_url"} <= set(info)
    assert len(info["upload_date"]) == 8


def test_same_seed_same_bytes_whatever_the_workers(world: Path, tmp_path: Path) -> None:
    simulate(_config(tmp_path / "again", workers=1))
    assert world_digest(tmp_path / "again") == world_digest(world)


def test_a_second_run_does_nothing(world: Path) -> None:
    before = world_digest(world)
    assert simulate(_config(world)).rendered == 0
    assert world_digest(world) == before


def test_another_world_is_refused_in_one_line_that_names_the_difference(world: Path) -> None:
    with pytest.raises(ValueError, match=r"holds another world \(seed is 4, not 5\)") as caught:
        simulate(_config(world, seed=5))
    assert "\n" not in str(caught.value)


def test_a_missing_voice_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"simulate\.voice: ") as caught:
        simulate(_config(tmp_path / "w", narrated=1, silent=0, held_out=0, voice=str(tmp_path / "none.onnx")))
    assert "\n" not in str(caught.value)


def test_contact_sheet_is_a_picture_under_its_limit(world: Path, tmp_path: Path) -> None:
    contact_sheet(world, tmp_path / "sheet.jpg", max_bytes=150_000)
    assert 5_000 < (tmp_path / "sheet.jpg").stat().st_size <= 150_000
    with pytest.raises(ValueError, match="finished world"):
        contact_sheet(tmp_path, tmp_path / "other.jpg")


def test_one_clock_in_five_is_truly_variable() -> None:
    clocks = [draw_clock(np.random.default_rng(seed), 60.0, 25.0) for seed in range(300)]
    uneven = [clock for clock in clocks if len(set(np.diff(clock.ticks) // 100)) > 2]
    assert 0.12 < len(uneven) / len(clocks) < 0.3
    assert all(clock.variable for clock in uneven)
    assert {clock.nominal_fps for clock in clocks} == {10.0, 12.0, 12.5, 15.0, 25.0}


def test_bad_options_name_themselves() -> None:
    for name, value in (("narrated", -1), ("workers", 0), ("height_px", 97), ("pace", 0.0), ("vague_titles", 2.0)):
        with pytest.raises(ValueError, match=rf"simulate\.{name}"):
            SimulateConfig(out="x", **{name: value})  # type: ignore[arg-type]


@pytest.mark.slow
def test_narration_is_spoken_with_the_same_bytes_twice(tmp_path: Path) -> None:
    config = _config(tmp_path / "a", narrated=1, silent=0, held_out=0, pace=0.6, site=Site.B, height_px=0)
    try:
        find_voice(config)
    except ValueError as missing:
        pytest.skip(str(missing))
    simulate(config)
    simulate(_config(tmp_path / "b", narrated=1, silent=0, held_out=0, pace=0.6, site=Site.B, height_px=0))
    assert world_digest(tmp_path / "a") == world_digest(tmp_path / "b")
    spoken = _rows(tmp_path / "a" / "truth/narrations.csv")
    assert sum(row["kind"] == "procedural" for row in spoken) >= 8
    with av.open(str(next((tmp_path / "a" / "videos").glob("*.mp4")))) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    first, second = spoken[0], spoken[1]
    loud = np.abs(sound[int(float(first["start_seconds"]) * 22050) : int(float(first["end_seconds"]) * 22050)]).mean()
    gap = sound[int(float(first["end_seconds"]) * 22050) + 1000 : int(float(second["start_seconds"]) * 22050) - 1000]
    assert loud > 0.02
    assert gap.size == 0 or np.abs(gap).mean() < loud / 5
