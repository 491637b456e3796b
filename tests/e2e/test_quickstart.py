"""What docs/quickstart.md says, done: its blocks in their order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_block_of_the_quickstart_runs(repository: Path, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((repository / "docs" / "quickstart.md").read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} == {"sh", "python"}
    commands = "\n".join(text for language, text in blocks if language == "sh")
    # One Python session, as a reader would have it.
    session = "\n".join(text for language, text in blocks if language == "python")
    command = tmp_path / "bin" / "ophclip"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ophclip.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    place = tmp_path / "empty"
    place.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(repository),
        "HF_HUB_OFFLINE": "1",
    }
    for arguments in (["sh", "-e", "-c", commands], [sys.executable, "-W", "error::UserWarning", "-c", session]):
        run = subprocess.run(
            arguments, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=800
        )
        assert run.returncode == 0, run.stderr[-3000:]
    assert (place / "heat.jpg").stat().st_size > 1000
    assert "ndarray" in run.stdout
