"""What is installed is what the lock says, under licences that are allowed, and the published list of it is true."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def licences(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", repository / "deploy" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["licences"] = module
    spec.loader.exec_module(module)
    return module


def pins(repository: Path) -> list[Requirement]:
    lines = (repository / "requirements.lock").read_text().splitlines()
    found = [Requirement(line.rstrip(" \\")) for line in lines if re.match("[A-Za-z0-9]", line)]
    return [one for one in found if one.marker is None or one.marker.evaluate()]


def test_what_is_installed_is_what_the_lock_says(repository: Path) -> None:
    wanted = {one.name: str(one.specifier).removeprefix("==") for one in pins(repository)}
    assert {name: importlib.metadata.version(name) for name in wanted} == wanted


def test_every_licence_is_allowed_and_listed(repository: Path) -> None:
    asked = [sys.executable, "deploy/licences.py"]
    run = subprocess.run(asked, cwd=repository, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    if (platform.system(), platform.machine(), sys.version_info[:2]) == ("Linux", "x86_64", (3, 11)):
        assert run.stdout == (repository / "docs" / "licences.csv").read_text(), "./justw licences writes it anew"


@pytest.mark.parametrize(
    ("licence", "extras", "refused"),
    [
        ("GPL-3.0-or-later", ("demo",), []),
        ("GPL-3.0-or-later", (), ["GPL-3.0-or-later"]),
        ("GPL-3.0-or-later", ("demo", "dev"), ["GPL-3.0-or-later"]),
        ("MIT AND AGPL-3.0-only", (), ["AGPL-3.0-only"]),
        ("MIT OR GPL-2.0-only", (), []),
        ("unknown", ("dev",), ["unknown"]),
    ],
)
def test_a_licence_that_is_not_allowed_is_named(
    licences: ModuleType, licence: str, extras: tuple[str, ...], refused: list[str]
) -> None:
    package = licences.Package(name="one", version="1", licence=licence, extras=extras)
    assert licences.refused(package) == refused
