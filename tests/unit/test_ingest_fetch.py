"""Web addresses: which are asked for, what is kept of them, and what a failing server does. The server is real."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filming import film, steady

from ingest.bring import bring
from ingest.config import FetchConfig, IngestConfig, Retry
from ingest.manifest import MANIFEST_NAME, Manifest, State, VideoRow
from ingest.pack import DOWNLOADS
from ingest.records import Metadata
from ingest.register import recipe_of
from ingest.sources import SourceFile
from ingest.sources.download import kept_info, require_yt_dlp
from ingest.sources.fetch import clean_address, read_wanted, refused, without_secrets

HOST = "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("https://user:pw@a.org:8443/x/y.mp4?token=SECRET#t=3", "https://a.org:8443/x/y.mp4"),
        ("https://a.org/watch?list=L&v=abc&sig=SECRET", "https://a.org/watch?v=abc"),
        ("http://a.org/x.mp4;session=SECRET", "http://a.org/x.mp4"),
        ("", ""),
    ],
)
def test_an_address_is_kept_without_secrets(address: str, plain: str) -> None:
    assert clean_address(address) == plain


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://a.org/x", ""),
        ("https://WWW.A.org./x", ""),
        ("https://u:pw@www.a.org:444/x", ""),
        ("https://ba.org/x", "ba.org is not among fetch.hosts: allow it with 'fetch.hosts=[a.org,ba.org]'"),
        ("https://a.org@evil.org/x", "evil.org is not among"),
        ("https://a.org.evil.org/x", "a.org.evil.org is not among"),
        ("https://evil.org\\@a.org/x", "not an http"),
        ("file:///etc/passwd", "not an http"),
        ("ftp://a.org/x", "not an http"),
        ("https://a.org\u3002evil.org/x", "not an http"),
        ("a.mp4", "not an http"),
        ("http:///x", "not an http"),
    ],
)
def test_only_allowed_hosts_may_be_asked(address: str, words: str) -> None:
    said = refused(address, ["a.org"])
    assert said.startswith(words) if words else not said
    assert "pw" not in said


def test_lists_are_read_and_faulty_ones_refused(tmp_path: Path) -> None:
    text, table = tmp_path / "list.txt", tmp_path / "list.csv"
    text.write_text("# eyes\n\nhttps://a.org/x.mp4?token=SECRET#smuggled\n  https://a.org/w?v=1\n")
    first, second = read_wanted(str(text), ["a.org"])
    assert (first.address, first.relative) == ("https://a.org/x.mp4?token=SECRET", "https://a.org/x.mp4")
    assert first.stem.startswith("x-")
    assert second.relative == "https://a.org/w?v=1"
    assert "SECRET" not in repr(first)
    table.write_text(
        "path,title,video_id,webpage_url\nhttps://a.org/x.mp4,Vitrectomy,v1,https://a.org/p?token=SECRET\n"
    )
    (row,) = read_wanted(str(table), ["a.org"])
    assert row.row.listed == Metadata(title="Vitrectomy", webpage_url="https://a.org/p")
    assert row.row.video_id == "v1"
    for lines, words in [
        ("https://a.org/x?token=SECRET\nhttps://a.org/x?token=SECRET2\n", "rows 1 and 2 both have https://a.org/x: "),
        ("#\nhttps://b.org/x?token=SECRET\n", "row 2: b.org is not among fetch.hosts: allow it with"),
        ("file:///SECRET.mp4\n", "row 1: not an http:// or https:// address"),
        ("https://[SECRET/x\n", "row 1: not a valid address"),
        ("# nothing\n", "no addresses in it"),
    ]:
        text.write_text(lines)
        with pytest.raises(ValueError, match=words) as told:
            read_wanted(str(text), ["a.org"])
        assert "SECRET" not in str(told.value)
    with pytest.raises(ValueError, match="--fetch takes a list of addresses"):
        read_wanted(str(tmp_path), ["a.org"])
    with pytest.raises(ValueError, match=r"^fetch\.hosts: 'https://a.org' given"):
        FetchConfig(hosts=["https://a.org"])


def test_a_reason_has_no_secrets_and_one_line() -> None:
    address = "https://user:p%40ss@a.org/x?token=SE%20CRET&v=abc"
    text = f"ERROR: [generic] SE CRET x?sig=OTHER p@ss p%40ss user {address}\nabc gone (caused by <{address}>)"
    assert without_secrets(text, address) == "[generic] *** x *** *** *** the address abc gone"


def test_of_the_info_only_known_keys_are_kept() -> None:
    chapter = {"start_time": 0.0, "end_time": 2.0, "title": "Incision", "url": "SECRET"}
    info = {"title": "T", "http_headers": {"Cookie": "SECRET"}, "cookies": "SECRET", "license": None}
    info |= {"webpage_url": "https://u:SECRET@a.org/x?v=1&k=SECRET", "chapters": [chapter]}
    assert kept_info(info) == {
        "title": "T",
        "webpage_url": "https://a.org/x?v=1",
        "chapters": [{"start_time": 0.0, "end_time": 2.0, "title": "Incision"}],
    }


def test_how_a_video_came_is_no_part_of_its_recipe() -> None:
    assert recipe_of(IngestConfig(fetch=FetchConfig(enabled=True, hosts=["a.org"]))) == recipe_of(IngestConfig())


@dataclass
class Site:
    """What a server was asked, and how it is to behave."""

    film: bytes
    port: int = 0
    dies: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def address(self, path: str, *, host: str = HOST, user: str = "") -> str:
        return f"http://{user}{host}:{self.port}/{path}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    pytest.importorskip("yt_dlp")
    found = Site(film(tmp_path / "film.mp4", steady(30.0)).read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, dict(self.headers)))
            name = self.path.partition("?")[0]
            if name == "/away.mp4":
                self.send_response(302)
                self.send_header("Location", found.address("x.mp4?token=SECRET", host="localhost"))
                self.end_headers()
            elif name == "/near.mp4":
                self.send_response(302)
                self.send_header("Location", found.address("x.mp4"))
                self.end_headers()
            elif name == "/several":
                page = "".join(f'<video src="/{one}.mp4"></video>' for one in "xy").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Set-Cookie", "session=SECRET")
                self.end_headers()
                self.wfile.write(b"<html><title>Eyes</title>" + page)
            elif name in ("/x.mp4", "/y.mp4"):
                self._film()
            else:
                self.send_error(404)

        def _film(self) -> None:
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            body = found.film[first:]
            self.send_response(206 if first else 200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Range", f"bytes {first}-{len(found.film) - 1}/{len(found.film)}")
            self.end_headers()
            try:
                self.wfile.write(body[: len(body) // 2] if found.dies else body)
            except ConnectionError:  # who looked only at the beginning
                self.close_connection = True

        def log_message(self, *_words: object) -> None:
            return

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def brought(
    tmp_path: Path, *addresses: str, retry: Retry = Retry.NONE
) -> tuple[list[SourceFile], dict[str, VideoRow], list[str]]:
    (tmp_path / "list.txt").write_text("\n".join(addresses))
    corpus, messages = tmp_path / "corpus", list[str]()
    corpus.mkdir(exist_ok=True)
    config = IngestConfig(fetch=FetchConfig(enabled=True, hosts=[HOST]), retry=retry)
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        wanted = read_wanted(str(tmp_path / "list.txt"), config.fetch.hosts)
        files = bring(wanted, manifest, corpus, config, lambda _done, _all, text: messages.append(text))
        return files, {row.source_relative: row for row in manifest.videos()}, messages


def test_a_video_is_fetched_once_and_secrets_stay_out(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    addresses = [
        site.address("x.mp4?token=SECRET", user="user:SECRET@"),
        site.address("gone.mp4?token=SECRET", user="user:SECRET@"),
    ]
    files, rows, messages = brought(tmp_path, *addresses)
    (file,) = files
    assert file.relative == site.address("x.mp4")
    assert Path(file.location).read_bytes() == site.film
    assert Path(file.location).parent == tmp_path / "corpus" / DOWNLOADS
    facts = json.loads(Path(file.metadata_location).read_text())
    assert facts == {"title": "x", "webpage_url": site.address("x.mp4"), **_dated(facts)}
    assert messages == [f"fetching {site.address('x.mp4')}", f"fetching {site.address('gone.mp4')}"]
    path, headers = site.asked[0]
    assert path == "/x.mp4?token=SECRET"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"user:SECRET").decode()
    assert "Cookie" not in headers
    row = rows[site.address("gone.mp4")]
    assert (row.state, row.video_id, row.attempts) == (State.FAILED, "gone", 1)
    assert "HTTP Error 404" in row.reason
    assert "\n" not in row.reason
    requests = len(site.asked)
    again, _rows, messages = brought(tmp_path, *addresses)
    assert (again, messages, len(site.asked)) == (files, [], requests)
    brought(tmp_path, *addresses, retry=Retry.FAILED)
    assert {path for path, _headers in site.asked[requests:]} == {"/gone.mp4?token=SECRET"}
    for path in (tmp_path / "corpus").rglob("*"):
        assert b"SECRET" not in path.name.encode() + (path.read_bytes() if path.is_file() else b"")
    assert capfd.readouterr() == ("", "")


def _dated(facts: dict[str, str]) -> dict[str, str]:
    return {"upload_date": facts["upload_date"]} if "upload_date" in facts else {}


def test_no_request_leaves_the_allowed_hosts(site: Site, tmp_path: Path) -> None:
    away, near = site.address("away.mp4"), site.address("near.mp4")
    files, rows, _messages = brought(tmp_path, away, near)
    assert [file.relative for file in files] == [near]
    assert rows[away].reason == (
        "cannot be fetched: localhost is not among fetch.hosts: allow it with 'fetch.hosts=[127.0.0.1,localhost]'"
    )
    assert not any("SECRET" in path for path, _headers in site.asked)


def test_a_page_with_several_videos_is_refused(site: Site, tmp_path: Path) -> None:
    page = site.address("several")
    files, rows, _messages = brought(tmp_path, page)
    assert not files
    assert rows[page].reason == "cannot be fetched: it holds several videos: give the address of each"


def test_a_server_that_dies_midway_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    address, site.dies = site.address("x.mp4"), True
    files, rows, _messages = brought(tmp_path, address)
    assert not files
    assert rows[address].state is State.FAILED
    (half,) = (tmp_path / "corpus" / DOWNLOADS).iterdir()
    assert half.name.endswith(".mp4.part")
    size = half.stat().st_size
    assert 0 < size < len(site.film)
    site.dies, site.asked = False, []
    (file,), _rows, _messages = brought(tmp_path, address, retry=Retry.FAILED)
    assert Path(file.location).read_bytes() == site.film
    assert site.asked[-1][1]["Range"] == f"bytes={size}-"


def test_a_killed_run_that_wrote_no_info_is_not_complete(site: Site, tmp_path: Path) -> None:
    address = site.address("x.mp4")
    (file,), _rows, _messages = brought(tmp_path, address)
    Path(file.metadata_location).unlink()
    requests = len(site.asked)
    (again,), _rows, _messages = brought(tmp_path, address)
    assert again.location == file.location
    assert len(site.asked) > requests


def test_without_yt_dlp_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yt_dlp", None)
    with pytest.raises(ValueError, match=r"^--fetch needs yt-dlp: pip install 'ophclip\[fetch\]'$"):
        require_yt_dlp()
