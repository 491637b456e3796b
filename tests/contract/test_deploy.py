"""The Dockerfile and the systemd unit name what is there, and start the service with words that it takes."""

from __future__ import annotations

import configparser
import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from ophclip.cli import serving
from ophclip.serving_options import ServingConfig

BINARY = "/opt/ophclip/bin/ophclip"
DATA = Path("/srv/ophclip")


@pytest.fixture(scope="module")
def steps(repository: Path) -> list[tuple[str, str]]:
    """Instruction and words of every step of the Dockerfile."""
    text = (repository / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in joined)]


@pytest.fixture(scope="module")
def unit(repository: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(repository / "deploy" / "ophclip.service", encoding="utf-8")
    return {name: dict(parser.items(name)) for name in parser.sections()}


def taken(words: list[str]) -> dict[str, Any]:
    """What `ophclip serve` makes of its words."""
    group: Any = typer.main.get_command(serving.app)
    return dict(group.commands["serve"].make_context("serve", words).params)


def test_what_is_copied_is_there_and_all_that_is_needed(repository: Path, steps: list[tuple[str, str]]) -> None:
    copied = [words.split() for step, words in steps if step == "COPY" and not words.startswith("--from")]
    sources = {source for words in copied for source in words[:-1]}
    assert {source for source in sources if not (repository / source).exists()} == set()
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {path.parent.name for path in repository.glob("*/py.typed")}
    assert packages | {"conf", "pyproject.toml", "requirements.lock"} <= sources
    assert "ophclip" in project["project"]["scripts"]


def test_the_image_starts_the_service_with_words_that_it_takes(steps: list[tuple[str, str]]) -> None:
    last = dict(steps)
    start = json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"].split("CMD ")[-1])
    assert start[:2] == ["ophclip", "serve"]
    params = taken(start[2:])
    assert (params["folder"], params["token_file"]) == (DATA / "index", DATA / "tokens.json")
    assert params["host"] == "0.0.0.0"
    assert f"PATH={Path(BINARY).parent}:" in last["ENV"]
    assert any(f"python -m venv {Path(BINARY).parents[1]}" in words for step, words in steps if step == "RUN")
    assert last["EXPOSE"] == str(params["port"])


def test_the_unit_starts_the_service_with_words_that_it_takes(unit: dict[str, dict[str, str]]) -> None:
    assert list(unit) == ["Unit", "Service", "Install"]
    binary, command, *words = shlex.split(unit["Service"]["ExecStart"])
    assert (binary, command) == (BINARY, "serve")
    params = taken(words)
    assert (params["folder"], params["token_file"]) == (DATA / "index", DATA / "tokens.json")
    assert params["host"] == "127.0.0.1"
    assert unit["Service"]["ReadOnlyPaths"] == str(DATA)
    assert float(unit["Service"]["TimeoutStopSec"]) > ServingConfig().stop_seconds + 1


def test_words_that_the_service_does_not_take_are_refused() -> None:
    with pytest.raises(Exception, match="No such option: --address"):
        taken(["index", "--address", "0.0.0.0"])
