"""Stages run once, folders belong to their options, the page escapes what people wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophclip.demo.page import (
    CorpusSection,
    Page,
    PhaseSection,
    PictureSection,
    SearchSection,
    Strip,
    Table,
    TimingSection,
    clock,
    write_page,
)
from ophclip.demo.stages import Stage, claim, run_stages
from ophclip.evaluation.report.page import image_address
from ophclip.progress import Progress

NOTHING = Table(headings=("a", "b"), rows=(("x", "1"),))


def test_a_stage_runs_once_and_a_failed_one_again(tmp_path: Path) -> None:
    ran: list[str] = []

    def good(progress: Progress) -> None:
        progress(1, 1, "working")
        ran.append("good")

    def bad(_progress: Progress) -> None:
        ran.append("bad")
        raise ValueError("no luck")

    stages = [Stage(name="good", title="good", work=good), Stage(name="bad", title="bad", work=bad)]
    for _ in range(2):
        with pytest.raises(ValueError, match="no luck"):
            run_stages(tmp_path, stages)
    assert ran == ["good", "bad", "bad"]
    (done,) = run_stages(tmp_path, stages[:1])
    assert done.title == "good"
    assert done.largest_process_gb > 0


def test_a_folder_keeps_its_options(tmp_path: Path) -> None:
    claim(tmp_path / "out", {"seed": 1})
    claim(tmp_path / "out", {"seed": 1})
    with pytest.raises(ValueError, match=r"another seed .*--out"):
        claim(tmp_path / "out", {"seed": 2})


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(ValueError, match=r"file.*cannot be written.*--out"):
        claim(tmp_path / "file" / "out", {"seed": 1})


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00.0"), (75.25, "1:15.2"), (59.96, "1:00.0"), (-1.0, "0:00.0")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_page_escapes_titles(tmp_path: Path) -> None:
    strip = Strip(title="<script>alert(1)</script>", text="a & b", images=(image_address(b"\xff\xd8jpeg"),))
    page = Page(
        title="t",
        subtitle="s",
        cards=(),
        notes=(),
        corpus=CorpusSection(lead="l", table=NOTHING, strips=(strip,)),
        transcript=None,
        training=PictureSection(lead="l", images=()),
        phases=PhaseSection(lead="l", table=None, pictures=()),
        search=SearchSection(lead="l", queries=()),
        timings=TimingSection(lead="l", table=NOTHING),
    )
    write_page(page, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script>" not in text
    assert "a &amp; b" in text
    assert "data:image/jpeg;base64," in text
