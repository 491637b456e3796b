"""A language model's server that dies in the middle of an ingest changes nothing in the corpus."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fault_runner import CHANGING
from filming import film, steady
from typer.testing import CliRunner

from ingest.config import (
    DuplicatesConfig,
    FilterConfig,
    IngestConfig,
    OverlayConfig,
    RewriteConfig,
    ScreenConfig,
    ScreenKind,
    ShardsConfig,
)
from ingest.manifest import MANIFEST_NAME, Manifest
from ingest.pack import SHARDS
from ingest.records import Level, Refused
from ingest.run import ingest
from ingest.shards import ShardReader
from ophclip.cli.ingest import app

TABLES = ("videos", "clips", "rejections", "corrections", "evidence", "transcripts")
REFUSED, ADDED = "iris hooks", " Mitomycin C is injected."
SAID = ("The keratome makes the corneal incision.", "The capsulorhexis is torn with forceps.")
ANOTHER = "The pupil is dilated with iris hooks."


class Model:
    """A server that puts passages in other words, adds to one what nobody said, and dies after `answers` of them."""

    def __init__(self) -> None:
        self.answers = 1000
        self.answered = 0
        self._port = 0
        self.start()
        self.address = f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Come up, again at the same address."""
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if model.answered >= model.answers:
                    threading.Thread(target=model.http.shutdown).start()
                    return
                model.answered += 1
                text = question["messages"][1]["content"]
                told = f"Here {text[:1].lower()}{text[1:]}" + (ADDED if REFUSED in text else "")
                body = json.dumps({"choices": [{"message": {"content": told}}]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self.http.server_address[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self.http.serve_forever(poll_interval=0.01)
        self.http.server_close()

    def join(self) -> None:
        """Wait until it is gone."""
        self._thread.join()


@pytest.fixture
def model() -> Iterator[Model]:
    started = Model()
    yield started
    started.http.shutdown()
    started.join()


def snapshot(corpus: Path) -> dict[str, object]:
    """Every shard and all that the manifest says, but for times and tries."""
    kept: dict[str, object] = {path.name: path.read_bytes() for path in sorted((corpus / SHARDS).iterdir())}
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        for name in TABLES:
            columns, rows = manifest.table(name)
            places = [place for place, column in enumerate(columns) if column not in CHANGING]
            kept[name] = sorted(repr([row[place] for place in places]) for row in rows)
    return kept


@pytest.mark.slow
def test_a_server_that_dies_ends_the_run_and_the_next_one_makes_the_same_corpus(model: Model, tmp_path: Path) -> None:
    folder, words = tmp_path / "videos", tmp_path / "words"
    folder.mkdir()
    words.mkdir()
    for name, said in {"a": SAID, "b": SAID, "c": (ANOTHER, ANOTHER)}.items():
        film(folder / f"{name}.mp4", steady(12.0 + ord(name) % 3))
        (words / f"{name}.csv").write_text(f"start,end,text\n0.5,3.0,{said[0]}\n5.0,8.0,{said[1]}\n")
    config = IngestConfig(
        workers=1,
        shards=ShardsConfig(fps=2.0, video_frames=4, short_side_px=48),
        transcripts=str(words),
        filter=FilterConfig(enabled=False),
        screen=ScreenConfig(kind=ScreenKind.OFF),
        duplicates=DuplicatesConfig(enabled=False),
        overlays=OverlayConfig(enabled=False),
        rewrite=RewriteConfig(address=model.address, model="fake", retries=1, backoff_seconds=0.0),
    )
    whole = tmp_path / "whole"
    ingest(folder, whole, config)
    wanted, questions = snapshot(whole), model.answered
    reader = ShardReader(whole)
    texts = {entry.key: reader.read(entry.key).text for entry in reader.entries(Level.CLIP)}
    reader.close()
    kept = [text for text in texts.values() if text.startswith("Here the ")]
    left = [text for text in texts.values() if REFUSED in text]
    assert kept
    assert left
    assert len(kept) + len(left) == len(texts)
    assert not any(ADDED in text for text in texts.values())
    with Manifest(whole / MANIFEST_NAME) as manifest:
        _columns, rows = manifest.table("rejections")
    reasons = [str(reason) for *_values, reason, kind in rows if kind == Refused.REWRITE.value]
    assert len(reasons) == len(left)
    assert all(reason.startswith("rewrite: adds ") and "mitomycin" in reason.lower() for reason in reasons)
    rate = f"{len(kept)} of {len(texts)} rewrites accepted ({len(kept) / len(texts):.0%})"
    status = CliRunner().invoke(app, ["status", str(whole)])
    assert rate in status.output
    assert rate in (whole / "card.md").read_text()
    assert rate in (whole / "card.html").read_text()

    corpus = tmp_path / "corpus"
    model.answered, model.answers = 0, 2
    with pytest.raises(ValueError, match=r"gives no answer \(.*, 2 tries\).*what is done is kept") as told:
        ingest(folder, corpus, config)
    assert "\n" not in str(told.value)
    model.join()
    model.answers = 1000
    model.start()
    # More patience is no other recipe.
    ingest(folder, corpus, replace(config, rewrite=replace(config.rewrite, retries=2)))
    assert snapshot(corpus) == wanted
    assert model.answered == questions
