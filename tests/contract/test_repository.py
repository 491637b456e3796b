"""What the repository promises about itself: commands in the README exist, the lock is whole, nothing private leaks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest


def tracked(repository: Path) -> list[Path]:
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are tracked")
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    return [repository / line for line in listed.stdout.splitlines()]


def test_lock_is_hashed_and_holds_no_address(repository: Path) -> None:
    text = (repository / "requirements.lock").read_text()
    pins = re.findall(r"^[A-Za-z0-9_.-]+==\S+", text, re.MULTILINE)
    assert len(pins) > 100
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text
    assert "lightning==2.6.2" not in text
    assert "lightning==2.6.3" not in text


def test_every_direct_dependency_is_in_the_lock(repository: Path) -> None:
    project = (repository / "pyproject.toml").read_text()
    names = re.findall(r'^    "([A-Za-z0-9_.-]+)[><=!]', project, re.MULTILINE)
    locked = set(re.findall(r"^([a-z0-9-]+)==", (repository / "requirements.lock").read_text(), re.MULTILINE))
    assert len(names) > 25
    assert {name.lower().replace("_", "-") for name in names} <= locked


def test_every_recipe_named_in_the_documents_exists(repository: Path) -> None:
    recipes = set(re.findall(r"^([a-z-]+)(?: [^:\n]*)?:(?!=)", (repository / "justfile").read_text(), re.MULTILINE))
    documents = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    named = {name for page in documents for name in re.findall(r"\./justw ([a-z-]+)", page.read_text())}
    assert {"demo", "test"} <= named <= recipes


def test_every_command_named_in_the_documents_exists(repository: Path) -> None:
    from typer.main import get_command

    from ophclip.cli import app

    commands = set(getattr(get_command(app), "commands"))  # noqa: B009  a group has it, its base class does not
    documents = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    named = {name for page in documents for name in re.findall(r"^ophclip ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert {"ingest", "search"} <= named <= commands


def test_committed_files_are_small(repository: Path) -> None:
    large = [path for path in tracked(repository) if path.is_file() and path.stat().st_size > 500_000]
    assert large == []


def test_ci_calls_the_test_command_of_the_readme(repository: Path) -> None:
    assert "./justw test" in (repository / "README.md").read_text()
    assert "./justw test" in (repository / ".ci" / "run").read_text()
