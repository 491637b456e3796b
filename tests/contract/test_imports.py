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
    "retrieval_index.config",
    "ingest.records",
    "ingest.config",
    "ingest.text.segment",
    "ingest.text.clean",
    "ingest.text.correct",
    "ingest.text.identifiers",
    "ingest.text.narration",
    "ingest.text.procedural",
    "ingest.text.rewrite",
    "ingest.text.titles",
    "ingest.pictures.screen",
    "ingest.sources",
    "ingest.status",
    "ingest.export",
    "ingest.stage",
    "ingest.run",
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
import sys
sys.argv = ["ophclip", *sys.argv[1:], "--help"]
from ophclip import cli
try:
    cli.app()
except SystemExit:
    pass
heavy = {"torch", "numpy", "hydra", "omegaconf", "av", "cv2", "faiss", "matplotlib", "rich"} & set(sys.modules)
assert not heavy, f"help loads {sorted(heavy)}"
"""


@pytest.mark.parametrize(
    "command", ["", "demo", "simulate", "ingest", "train", "index", "zeroshot", "search", "bundle", "doctor"]
)
def test_help_of_every_command_loads_nothing_heavy(command: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HELP, *([command] if command else [])], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "Usage:" in run.stdout


def test_the_package_itself_loads_nothing_but_the_standard_library() -> None:
    code = "import sys; import ophclip; sys.exit(bool({'torch', 'numpy', 'omegaconf'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_surface() -> None:
    import ophclip

    assert ophclip.__all__ == ["__version__", "load", "load_bundle", "open_index", "train"]
    for name in ophclip.__all__:
        assert getattr(ophclip, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ophclip.no_such_name
