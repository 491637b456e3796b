"""What must stay light stays light, and the check that says so can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = (
    "ophclip",
    "ophclip.cli",
    "ophclip.config",
    "ophclip.composing",
    "ingest.records",
    "ingest.config",
    "ingest.segment",
    "ingest.clean",
    "ingest.titles",
    "ingest.weights",
)
PROBE = "import sys, importlib; importlib.import_module(sys.argv[1]); sys.exit('torch' in sys.modules)"


def loads_torch(module: str) -> bool:
    return subprocess.run([sys.executable, "-c", PROBE, module], check=False, timeout=60).returncode != 0


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_without_torch(module: str) -> None:
    assert not loads_torch(module)


def test_the_probe_sees_torch_where_it_is() -> None:
    assert loads_torch("ophclip.models.dual_encoder")


HELP = """
import sys, time
sys.argv = ["ophclip", *sys.argv[1:], "--help"]
from ophclip import cli
try:
    cli.app()
except SystemExit:
    pass
assert "torch" not in sys.modules, "help loads torch"
assert time.process_time() < 0.5, f"help took {time.process_time():.2f} s of CPU"
"""


@pytest.mark.parametrize(
    "command", ["", "demo", "simulate", "ingest", "train", "index", "zeroshot", "search", "bundle", "doctor"]
)
def test_help_of_every_command_is_quick_and_torch_free(command: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HELP, *([command] if command else [])], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "Usage:" in run.stdout


def test_import_of_the_package_is_quick() -> None:
    code = "import time; import ophclip; import sys; sys.exit(time.process_time() > 0.5)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_surface() -> None:
    import ophclip

    assert ophclip.__all__ == ["__version__", "load", "load_bundle", "open_index", "train"]
    for name in ophclip.__all__:
        assert getattr(ophclip, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ophclip.no_such_name
