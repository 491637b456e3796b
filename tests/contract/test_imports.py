"""What must stay light stays light, and the check that says so can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    "ingest.work",
    "ophclip.data.files",
    "ophclip.demo.run",
    "ophclip.evaluation.checking",
    "ophclip.evaluation.comparing",
    "ophclip.evaluation.copies",
    "ophclip.evaluation.probes.run",
    "ophclip.evaluation.embedding_writer",
    "ophclip.evaluation.matching.run",
    "ophclip.evaluation.scoring",
    "ophclip.evaluation.runs",
    "ophclip.evaluation.verifying",
    "ophclip.models.description",
    "ophclip.search.build",
    "ophclip.search.index",
    "ophclip.serving.decoding",
    "ophclip.serving.tokens",
    "ophclip.tracing.run",
    "ophclip.train",
    "ophclip.training.export",
    "ophclip.training.run",
    "ingest.weights",
)
PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert "torch" not in sys.modules, f"{name} loads torch"
"""


def complaint(*modules: str, path: Path | None = None) -> str:
    """What is said of modules that are loaded in turn; nothing if none of them brings torch."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*([path] if path else []), *sys.path]))}
    command = [sys.executable, "-c", PROBE, *modules]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    return run.stderr if run.returncode else ""


def test_light_modules_load_without_torch() -> None:
    assert complaint(*LIGHT) == ""


def test_the_probe_sees_torch_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "heavy.py").write_text("import torch\n")
    assert "heavy loads torch" in complaint("ophclip", "heavy", path=tmp_path)


HELP = """
import sys
from ophclip import cli
for command in sys.argv[1:]:
    sys.argv = ["ophclip", *command.split(), "--help"]
    try:
        cli.app()
    except SystemExit:
        pass
    heavy = {"torch", "numpy", "hydra", "omegaconf", "av", "cv2", "faiss", "matplotlib", "rich", "sqlalchemy"}
    heavy &= set(sys.modules)
    assert not heavy, f"help of {command} loads {sorted(heavy)}"
"""


def test_help_of_every_command_loads_nothing_heavy() -> None:
    from typer.main import get_command

    from ophclip.cli import app

    commands = ["", *getattr(get_command(app), "commands")]  # noqa: B009  a group has it, its base class does not
    expected = {"demo", "simulate", "ingest", "train", "index", "search", "bundle"}
    expected |= {"zeroshot", "embed", "probe", "retrieval", "report", "compare", "verify", "trace", "serve", "token"}
    assert {*expected, "doctor"} <= set(commands)
    run = subprocess.run([sys.executable, "-c", HELP, *commands], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Usage:") == len(commands)


def test_the_package_itself_loads_nothing_but_the_standard_library() -> None:
    code = "import sys; import ophclip; sys.exit(bool({'torch', 'numpy', 'omegaconf'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_surface() -> None:
    import ophclip

    assert ophclip.__all__ == [
        "__version__", "create_model_and_transforms", "get_tokenizer", "load", "load_bundle", "open_index", "train",
    ]  # fmt: skip
    for name in ophclip.__all__:
        assert getattr(ophclip, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ophclip.no_such_name
