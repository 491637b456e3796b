"""A bundle goes to a hub on the loopback address and comes back from it the same."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import ophclip
from ophclip.cli import app
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.data.hub import fetch, push
from ophclip.models.bundle import save_bundle
from ophclip.training.export import new_model

NAME = "clinic/cataract"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """What the Hugging Face hub answers to one client with small files, kept in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.made: dict[str, Any] = {}
        self.refuses = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self._body()
        if self.server.refuses:
            return self._answer({"error": "no such token"}, 401)
        if self.path == "/api/repos/create":
            self.server.made = json.loads(body)
            return self._answer({"url": f"{self.server.address}/{NAME}"})
        if self.path.startswith(f"/api/models/{NAME}/preupload/"):
            asked = [one["path"] for one in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]
            return self._answer({"files": modes})
        if self.path.startswith(f"/api/models/{NAME}/commit/"):
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            return self._answer({"commitUrl": f"{self.server.address}/{NAME}/commit/{COMMIT}", "commitOid": COMMIT})
        return self._answer({"valid": True})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        files = self.server.files
        if self.path.startswith(f"/api/models/{NAME}/tree/"):
            return self._answer(
                [{"type": "file", "path": name, "size": len(content), "oid": COMMIT} for name, content in files.items()]
            )
        if self.path.startswith(f"/api/models/{NAME}"):
            names = [{"rfilename": name} for name in files]
            return self._answer({"id": NAME, "sha": COMMIT, "siblings": names, "private": True})
        content = files.get(self.path.partition(f"/resolve/{COMMIT}/")[2])
        if content is None:
            return self._answer({"error": "not found"}, 404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Quiet."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    config = compose("train", ["model=tiny", "data.root=x"], TrainConfig)
    save_bundle(tmp_path / "bundle", new_model(config), config.model, {})
    return tmp_path / "bundle"


def test_a_bundle_comes_back_from_the_hub_as_it_went(hub: Hub, bundle: Path) -> None:
    ended = CliRunner().invoke(app, ["push", str(bundle), NAME])
    assert ended.exit_code == 0, ended.output
    assert ended.output.strip() == f"{hub.address}/{NAME}/commit/{COMMIT}"
    assert hub.made["visibility"] == "private"
    assert hub.files == {path.name: path.read_bytes() for path in bundle.iterdir()}
    back, own = ophclip.load(NAME, download=True)[0].state_dict(), ophclip.load(bundle)[0].state_dict()
    assert back.keys() == own.keys()
    assert all(torch.equal(back[name], own[name]) for name in own)


def test_a_hub_that_is_not_there_is_told_in_one_line(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    with pytest.raises(ValueError, match=rf"^{NAME}: cannot be pushed to the Hugging Face hub \(.*log in with"):
        push(bundle, NAME)


def test_what_cannot_be_pushed_is_told_in_one_line(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    hub.refuses = True
    with pytest.raises(ValueError, match=rf"^{NAME}: cannot be pushed to the Hugging Face hub \(.*log in with"):
        push(bundle, NAME)
    with pytest.raises(ValueError, match=r"^alone: no hub name; give OWNER/NAME"):
        push(bundle, "alone")
    (tmp_path / "empty").mkdir()
    assert CliRunner().invoke(app, ["push", str(tmp_path / "empty"), NAME]).exit_code == 1
    assert not hub.files


def test_a_hub_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("ophclip.data.hub._ANSWER_SECONDS", 0.3)
        with pytest.raises(ValueError, match=rf"^{NAME}: cannot be fetched .*\(it does not answer\); give a folder"):
            fetch(NAME)
