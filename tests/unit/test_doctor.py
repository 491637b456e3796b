"""The doctor finds what is there, and names a remedy for what is not."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from ophclip import doctor
from ophclip.doctor import State, examine


def test_a_whole_environment_has_no_fault_but_perhaps_the_disk(tmp_path: Path) -> None:
    findings = {finding.subject: finding for finding in examine(tmp_path)}
    assert findings["decoder av"].state is State.GOOD
    assert findings["Python"].state is State.GOOD
    faults = [name for name, finding in findings.items() if finding.state is State.FAULT]
    assert set(faults) <= {"free disk"}


def test_every_fault_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", ("torch", "no-such-library"))
    monkeypatch.setattr(doctor, "WEIGHTS", {"lost weights": "package:no-such-weights/model"})
    monkeypatch.setattr(doctor, "FREE_GB_NEEDED", 1e9)
    faults = [finding for finding in examine(tmp_path) if finding.state is State.FAULT]
    assert {finding.subject for finding in faults} == {"no-such-library", "lost weights", "free disk"}
    assert all(finding.remedy for finding in faults)


def test_malicious_releases_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: Callable[[str], str] = metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.6.3" if name == "lightning" else installed(name))
    (finding,) = [one for one in examine(tmp_path) if one.subject == "lightning"]
    assert finding.state is State.FAULT
    assert "attacker" in finding.detail
