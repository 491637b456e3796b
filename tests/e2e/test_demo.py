"""The whole job on a small world: videos in, a page with ribbons and search hits out; a second run redoes nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ophclip.cli import app

SMALL = (
    "narrated=1",
    "silent=2",
    "held_out=2",
    "max_fps=10",
    "seed=3",
    'train=["trainer.steps=4","data.clip_batch=4"]',
    'zeroshot=["bootstrap_samples=50","chance_samples=20"]',
)
QUERIES = 'queries=["phaco handpiece","lens injector"]'


def ophclip(*words: str, timeout: int = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ophclip.cli", *words], capture_output=True, text=True, check=False, timeout=timeout
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out folder"
    run = ophclip("demo", "--out", str(out), *SMALL, QUERIES)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(out / "report.html")
    assert "simulate site A" in run.stderr
    return out


@pytest.mark.slow
def test_a_second_run_redoes_nothing(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*") if path.is_file()}
    run = ophclip("demo", "--out", str(demo), *SMALL, QUERIES, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("done before") == len(list((demo / "stages").iterdir()))
    after = {path: path.stat().st_mtime_ns for path in demo.rglob("*") if path.is_file()}
    changed = {path.name for path in before if after.get(path) != before[path]}
    assert changed <= {"report.html"}
    assert after.keys() == before.keys()


@pytest.mark.slow
def test_other_options_in_the_same_folder_are_refused(demo: Path) -> None:
    run = ophclip("demo", "--out", str(demo), "narrated=9")
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
    assert "--out" in run.stderr


@pytest.mark.slow
def test_results_hold_their_receipt(demo: Path) -> None:
    for site in ("a", "b"):
        found = json.loads((demo / "results" / site / "trained" / "cataract101" / "result.json").read_text())
        provenance = found["provenance"]
        assert provenance["protocol"] == "video_macro_v1"
        assert len(provenance["weights_sha256"]) == len(provenance["prompts_sha256"]) == 64
        assert 0.0 <= found["summary"]["f1"]["mean"] <= 1.0
        assert found["videos"]


@pytest.mark.slow
def test_search_hits_lie_within_their_videos(demo: Path) -> None:
    from ingest.media import probe

    searches = json.loads((demo / "results" / "search.json").read_text())
    for site in ("A", "B"):
        hits = [hit for query in searches[site]["queries"] for hit in query["hits"]]
        assert hits
        for hit in hits:
            duration = probe(Path(hit["path"])).duration_seconds
            assert 0.0 <= hit["start_seconds"] < hit["end_seconds"] <= duration + 0.1
            assert isinstance(hit["right"], bool)


@pytest.mark.slow
def test_the_page_is_one_file_without_addresses_or_scripts(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="https?:', page)
    assert page.count("data:image/") > 20
    assert "macro F1" in page


@pytest.mark.slow
def test_the_page_in_a_real_browser(demo: Path, tmp_path: Path) -> None:
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if browser is None:
        pytest.skip("no chromium here; install it to see the page as a person would")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--window-size=1200,900"]
    shot = tmp_path / "page.png"
    address = (demo / "report.html").resolve().as_uri()
    subprocess.run([browser, *flags, f"--screenshot={shot}", address], check=True, capture_output=True, timeout=120)
    assert shot.stat().st_size > 20_000
    drawn = subprocess.run(
        [browser, *flags, "--dump-dom", address], check=True, capture_output=True, text=True, timeout=120
    )
    assert "Zero-shot phases" in drawn.stdout


@pytest.mark.slow
def test_a_run_can_be_packed_and_searched_by_commands(demo: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    packed = CliRunner().invoke(app, ["bundle", str(demo / "run"), "--out", str(bundle)])
    assert packed.exit_code == 0, packed.output
    found = ophclip("search", str(demo / "index_a"), "phaco handpiece", "--json", "--k", "2", "--bundle", str(bundle))
    assert found.returncode == 0, found.stderr
    hits = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(hits) == 2
    assert hits[0]["score"] >= hits[1]["score"]


@pytest.mark.slow
def test_ones_own_videos(real_data: Path, tmp_path: Path) -> None:
    options = ["--videos", str(real_data / "video"), "--out", str(tmp_path), 'train=["trainer.steps=3"]', QUERIES]
    run = CliRunner().invoke(app, ["demo", *options], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    page = (tmp_path / "report.html").read_text()
    assert "corneal incision" in page
    assert "laparoscopy_silent.mp4" in page
