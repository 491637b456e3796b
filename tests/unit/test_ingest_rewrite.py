"""Rewriting against a server that behaves well, lies, is slow, breaks and answers rubbish."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingest.config.text import RewriteConfig
from ingest.text.chat import NoAnswerError
from ingest.text.lexicon import Category, Lexicon, Term
from ingest.text.rewrite import CACHE_NAME, Rewriter, acceptance_rate, build_rewriter

LEXICON = Lexicon(
    (
        Term(name="keratome", category=Category.INSTRUMENT),
        Term(name="trypan blue", category=Category.MEDICATION),
        Term(name="cataract", category=Category.DISEASE),
        Term(name="phacoemulsification", category=Category.PROCEDURE, variants=("phaco",)),
    )
)
SAID = "so uh i make the cut with with the keratome"
GOOD = "The incision is made with the keratome."
LIE = "The incision is made with the keratome after trypan blue."
KEY = "sk-never-to-be-seen"


class Server:
    """A fake model: `answer` turns the question into (status, headers, body)."""

    def __init__(self) -> None:
        self.questions: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answer: Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]] = lambda _: says(GOOD)
        self.drip_seconds = 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions"
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.questions.append(question)
                server.keys.append(self.headers.get("Authorization"))
                status, headers, body = server.answer(question)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for place in range(0, len(body), 1 if server.drip_seconds else len(body)):
                        self.wfile.write(body[place : place + (1 if server.drip_seconds else len(body))])
                        time.sleep(server.drip_seconds)
                except OSError:
                    pass  # the client went away, as it should

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})


def says(text: str, tokens: int = 50) -> tuple[int, dict[str, str], bytes]:
    answer = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": tokens}}
    return 200, {}, json.dumps(answer).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MY_KEY", KEY)
    started = Server()
    started.thread.start()
    yield started
    started.http.shutdown()
    started.thread.join()
    started.http.server_close()


def config(server: Server, **options: Any) -> RewriteConfig:
    kept: dict[str, Any] = {"backoff_seconds": 0.0, "timeout_seconds": 5.0, "retries": 1, **options}
    return RewriteConfig(address=server.address, model="fake", key_variable="MY_KEY", **kept)


def rewriter(server: Server, folder: Path, **options: Any) -> Rewriter:
    built = build_rewriter(config(server, **options), folder, LEXICON)
    assert built is not None
    return built


def test_without_an_address_nothing_is_built_or_written(tmp_path: Path) -> None:
    assert build_rewriter(RewriteConfig(), tmp_path, LEXICON) is None
    assert list(tmp_path.iterdir()) == []


def test_a_good_answer_is_kept_and_paid_for_once(server: Server, tmp_path: Path) -> None:
    one = rewriter(server, tmp_path).rewrite(SAID)
    assert (one.before, one.after, one.kept, one.reason, one.attempts) == (SAID, GOOD, True, "", 1)
    assert rewriter(server, tmp_path).rewrite(SAID) == one
    assert len(server.questions) == 1
    (question,) = server.questions
    assert (question["temperature"], question["seed"], question["model"]) == (0, 0, "fake")
    assert question["messages"][1] == {"role": "user", "content": SAID}
    spent = rewriter(server, tmp_path).spent
    assert (spent.requests, spent.tokens) == (1, 50)


def test_the_key_is_sent_and_stands_in_no_file(server: Server, tmp_path: Path) -> None:
    rewriter(server, tmp_path).rewrite(SAID)
    assert server.keys == [f"Bearer {KEY}"]
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_lie_is_refused_and_the_next_answer_may_stand(server: Server, tmp_path: Path) -> None:
    server.answer = lambda question: says(LIE if question["seed"] == 7 else GOOD)
    one = rewriter(server, tmp_path, seed=7).rewrite(SAID)
    assert (one.after, one.kept, one.attempts) == (GOOD, True, 2)
    assert "medication: trypan blue" in server.questions[1]["messages"][-1]["content"]


def test_a_liar_changes_nothing(server: Server, tmp_path: Path) -> None:
    server.answer = lambda _: says(LIE)
    one = rewriter(server, tmp_path).rewrite(SAID)
    assert (one.after, one.kept, one.attempts) == (SAID, False, 3)
    assert one.reason == "adds medication: trypan blue"
    server.answer = lambda _: says(GOOD)
    assert acceptance_rate([one, rewriter(server, tmp_path).rewrite(f"{SAID} here")]) == 0.5
    assert acceptance_rate([]) == 0.0


@pytest.mark.parametrize("answer", ["", "NONE", f"- {GOOD}", f"{GOOD}\n{GOOD}", "made " * 60, '{"a": 1}'])
def test_no_sentence_is_no_rewrite(server: Server, tmp_path: Path, answer: str) -> None:
    server.answer = lambda _: says(answer)
    assert rewriter(server, tmp_path).rewrite(SAID).after == SAID


def test_an_empty_passage_is_not_asked_about(server: Server, tmp_path: Path) -> None:
    assert not rewriter(server, tmp_path).rewrite("  ").kept
    assert server.questions == []


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 3}}]}', b"null", b"\xff"],
)
def test_rubbish_is_asked_again_and_not_remembered(server: Server, tmp_path: Path, body: bytes) -> None:
    server.answer = lambda _: (200, {}, body) if len(server.questions) < 2 else says(GOOD)
    assert rewriter(server, tmp_path).rewrite(SAID).kept
    server.answer = lambda _: (200, {}, body)
    with pytest.raises(NoAnswerError, match=r"rewrite\.address: .* gives no answer .* 2 tries"):
        rewriter(server, tmp_path).rewrite("another cut")
    server.answer = lambda _: says("Another cut.")
    assert rewriter(server, tmp_path).rewrite("another cut").kept


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_as_often_as_allowed(server: Server, tmp_path: Path, status: int) -> None:
    server.answer = lambda _: (status, {"Retry-After": "0"}, b"")
    with pytest.raises(NoAnswerError, match=f"no answer .HTTP {status}, 3 tries"):
        rewriter(server, tmp_path, retries=2).rewrite(SAID)
    assert len(server.questions) == 3


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_a_refusal_is_told_in_one_line_without_the_key(server: Server, tmp_path: Path, status: int) -> None:
    server.answer = lambda _: (status, {"Location": "http://127.0.0.1:9/elsewhere"}, KEY.encode())
    with pytest.raises(NoAnswerError, match=rf"rewrite\.address: .* HTTP {status}; .*MY_KEY") as told:
        rewriter(server, tmp_path).rewrite(SAID)
    assert KEY not in str(told.value)
    assert "\n" not in str(told.value)
    assert len(server.questions) == 1


def test_a_slow_server_costs_no_more_than_its_time(server: Server, tmp_path: Path) -> None:
    server.drip_seconds = 0.05
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"slower than rewrite\.timeout_seconds"):
        rewriter(server, tmp_path, timeout_seconds=0.4, retries=0).rewrite(SAID)
    assert time.monotonic() - start < 3.0


def test_no_server_at_all(server: Server, tmp_path: Path) -> None:
    nowhere = replace(config(server), address="http://127.0.0.1:9/v1")
    built = build_rewriter(nowhere, tmp_path, LEXICON)
    assert built is not None
    with pytest.raises(NoAnswerError, match=r"gives no answer \(Connection"):
        built.rewrite(SAID)


def test_the_budget_ends_the_asking(server: Server, tmp_path: Path) -> None:
    built = rewriter(server, tmp_path, max_requests=2)
    assert all(built.rewrite(f"{SAID} {word}").kept for word in "ab")
    with pytest.raises(NoAnswerError, match=r"the budget is spent .* raise rewrite\.max_requests"):
        built.rewrite(f"{SAID} c")
    assert built.rewrite(f"{SAID} a").kept
    assert len(server.questions) == 2
    with pytest.raises(NoAnswerError, match="the budget is spent"):
        rewriter(server, tmp_path, max_tokens=100, max_requests=9).rewrite("new")


def test_an_answer_without_text_is_an_answer(server: Server, tmp_path: Path) -> None:
    server.answer = lambda _: (200, {}, b'{"choices": [{"message": {"content": null}}]}')
    one = rewriter(server, tmp_path, attempts=1).rewrite(SAID)
    assert (one.after, one.reason) == (SAID, "empty")
    assert rewriter(server, tmp_path, attempts=1).rewrite(SAID) == one
    assert len(server.questions) == 1


def test_a_killed_process_holds_no_question(server: Server, tmp_path: Path) -> None:
    asked = threading.Event()
    over = threading.Event()

    def hang(_: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        asked.set()
        over.wait(60)
        return says(GOOD)

    server.answer = hang
    code = (
        "import sys; from pathlib import Path\n"
        "from ingest.config.text import RewriteConfig; from ingest.text.lexicon import Lexicon\n"
        "from ingest.text.rewrite import build_rewriter\n"
        "config = RewriteConfig(address=sys.argv[1], model='fake')\n"
        "build_rewriter(config, Path(sys.argv[2]), Lexicon(())).rewrite(sys.argv[3])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, server.address, str(tmp_path), SAID]) as process:
        assert asked.wait(60)
        server.answer = lambda _: says(GOOD)
        process.kill()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(rewriter(server, tmp_path).rewrite, SAID).result(timeout=20).kept
    over.set()
    assert len(server.questions) == 2


def test_many_at_once_pay_once(server: Server, tmp_path: Path) -> None:
    def slow(_: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.2)
        return says(GOOD)

    server.answer = slow
    rewriters = [rewriter(server, tmp_path) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        kept = list(pool.map(lambda one: one.rewrite(SAID).kept, rewriters))
    assert kept == [True] * 6
    assert len(server.questions) == 1


def test_title_fields_are_held_to_their_quotes(server: Server, tmp_path: Path) -> None:
    answer = {
        "procedure": [{"value": "phacoemulsification", "quote": "phaco in a hard cataract"}],
        "eye_condition": [{"value": "cataract", "quote": "hard cataract"}],
        "medications": [{"value": "trypan blue", "quote": "hard cataract"}],
        "instruments": [{"value": "keratome", "quote": "with a keratome"}, 5, {"value": "keratome"}],
        "phases": [{"value": "moon landing", "quote": "the main cut"}],
        "technique": "none",
    }
    server.answer = lambda _: says(f"```json\n{json.dumps(answer)}\n```")
    fields = rewriter(server, tmp_path).title_fields("Phaco in a hard cataract: the main cut, no trypan blue")
    assert [(one.attribute, one.value, one.origin) for one in fields.evidence] == [
        ("procedure", "phacoemulsification", "model"),
        ("eye_condition", "cataract", "model"),
    ]
    assert [reason.split(": ")[:2] for reason in fields.refused] == [
        ["instruments", "keratome"],
        ["medications", "trypan blue"],
        ["phases", "moon landing"],
    ]
    server.answer = lambda _: says("I would say phaco.")
    assert rewriter(server, tmp_path).title_fields("Phaco").refused == ("form: no JSON object",)


def test_own_prompts_are_read_and_missing_ones_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Shorter.")
    rewriter(server, tmp_path, prompt=str(tmp_path / "mine.txt")).rewrite(SAID)
    assert server.questions[0]["messages"][0]["content"] == "Shorter."
    with pytest.raises(ValueError, match=r"no\.txt: cannot be read"):
        rewriter(server, tmp_path, title_prompt=str(tmp_path / "no.txt"))
    assert (tmp_path / CACHE_NAME).is_file()


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("rewrite.address", {"address": "ftp://model"}),
        ("rewrite.address", {"address": "http://user:secret@host/v1"}),
        ("rewrite.model", {"address": "http://host/v1"}),
        ("rewrite.attempts", {"attempts": 0}),
    ],
)
def test_bad_options_are_named(option: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=option) as told:
        RewriteConfig(**options)
    assert "secret" not in str(told.value)
