"""What `ophclip index` says of a run, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophclip.cli.search import index
from ophclip.search import build


def summary(added: int, unchanged: int) -> build.IndexSummary:
    failed = ((Path("purged.mp4"), "was purged"),)
    return build.IndexSummary(
        folder=Path("index"), videos=2, windows=6, clips=0, added=added, unchanged=unchanged, failed=failed
    )


@pytest.mark.parametrize(("added", "unchanged"), [(1, 0), (0, 1)])
def test_what_failed_beside_others_is_told_and_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], added: int, unchanged: int
) -> None:
    monkeypatch.setattr(build, "build_index", lambda *_, **__: summary(added, unchanged))
    index(Path("bundle"), [])
    assert capsys.readouterr().err.count("not indexed: purged.mp4: was purged") == 1


def test_a_run_that_could_use_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_index", lambda *_, **__: summary(0, 0))
    with pytest.raises(ValueError, match="none of the videos given could be indexed"):
        index(Path("bundle"), [])
