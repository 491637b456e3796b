"""What a stranger may put into files, lists and titles is refused in one line, or stays what it is: bytes and words."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from filming import film, steady
from small_corpus import sample, write_corpus

from ingest.card import write_card
from ingest.manifest import MANIFEST_NAME, Manifest, VideoRow
from ingest.media import frames_at, probe, scan
from ingest.records import Level
from ingest.shards import ShardReader, ShardWriter, read_tar, write_staged
from ingest.sources import find_videos
from ingest.tensors import read_tensors
from ingest.text.procedural import read_examples
from ingest.text.terms import read_terms
from ophclip.composing import compose
from ophclip.config import DataConfig, TrainConfig
from ophclip.data.files import open_corpus
from ophclip.evaluation.prompts import load_prompts
from ophclip.evaluation.transitions import read_transitions
from ophclip.models.card import card_text
from ophclip.models.description import read_description
from ophclip.training.checkpoints import newest_checkpoint
from ophclip.training.export import export_bundle

WICKED = '<script>alert(1)</script><img src=x onerror="alert(2)"> ![](http://evil.example/x.png)'


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, sentinel: Path) -> None:
        self._sentinel = sentinel

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._sentinel),)


def one_line(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        call()
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 1_000
    for word in words:
        assert word in told, told


LEADING_ELSEWHERE = {
    "playlist.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
    "playlist.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
    "concat.mp4": "ffconcat version 1.0\nfile '{secret}'\n",
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\n",
    "dash.mp4": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{secret}</BaseURL></MPD>',
    "subtitle.mp4": "[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,x\n",
}


@pytest.mark.parametrize("name", LEADING_ELSEWHERE)
def test_what_leads_to_other_files_is_no_video(tmp_path: Path, name: str) -> None:
    secret = film(tmp_path / "secret.mp4", steady(1.0))
    path = tmp_path / name
    path.write_text(LEADING_ELSEWHERE[name].format(secret=secret))
    calls = (probe, lambda file: frames_at(file, [0.0]), lambda file: scan(file, _ignore, fps=1.0, short_side_px=32))
    for call in calls:
        one_line(lambda call=call: call(path), f"{path}: not a readable video")


def _ignore(_second: float, _pixels: object) -> None:
    return


def test_patterns_pictures_and_protocols_are_no_videos(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"frame{number}.jpg").write_bytes(sample("a", level=Level.CLIP).jpegs[0])
    for name in ("frame%d.jpg", "frame0.jpg", "pipe:0", "concat:a.mp4|b.mp4", "http://127.0.0.1:1/x.mp4"):
        one_line(lambda name=name: probe(tmp_path / name), "not a readable video")
    one_line(lambda: probe(Path("pipe:0")), "not a readable video")


def trapped_tar(path: Path, sentinel: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    """A whole sample after a member that is none of a sample's."""
    write_staged(path, [sample("a-0001", level=Level.CLIP)])
    with tarfile.open(path) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        member, data = tarfile.TarInfo(name), pickle.dumps(Trap(sentinel))
        member.type, member.linkname = kind, "/etc/passwd"
        member.size = len(data) if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(data))
        for one, held in members:
            archive.addfile(one, io.BytesIO(held))
    return path


@pytest.mark.parametrize(
    "name", ["../../outside.json", "/tmp/outside.json", "a-0001.pyd", "a-0001.pth", "a-0001.pickle"]
)
def test_members_of_tars_are_never_written_out_or_unpickled(tmp_path: Path, name: str) -> None:
    tar = trapped_tar(tmp_path / "in.tar", tmp_path / "sentinel", name)
    if name.endswith(".json"):
        one_line(lambda: list(read_tar(tar)))
    else:
        assert [one.key for one in read_tar(tar)] == ["a-0001"]
    assert list(tmp_path.iterdir()) == [tar]
    assert not Path("/tmp/outside.json").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes) -> None:
    tar = trapped_tar(tmp_path / "in.tar", tmp_path / "sentinel", "a-0001.json", kind)
    one_line(lambda: list(read_tar(tar)), "is not a regular file")


@pytest.mark.parametrize("name", ["../shards.tar", "/etc/passwd", "pipe:touch sentinel", "http://evil.example/x.tar"])
def test_an_index_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    write_corpus(tmp_path)
    place = tmp_path / "shards" / "index.json"
    content = json.loads(place.read_text())
    content["shards"][0]["name"] = name
    place.write_text(json.dumps(content))
    one_line(lambda: ShardReader(tmp_path), "is no name of a shard")


def test_nothing_is_piped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text("path\npipe:touch sentinel\n")
    one_line(lambda: find_videos("list.csv"), "which is not there")
    one_line(lambda: find_videos("pipe:touch sentinel"), "no such folder")
    one_line(lambda: open_corpus(DataConfig(root="pipe:touch sentinel")), "is no folder")
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


@pytest.mark.parametrize(
    "override",
    ["+_target_=os.mkdir", "+model._target_=os.mkdir", "+data._target_=os.mkdir", "+optim._target_=os.mkdir"],
)
def test_nothing_is_built_by_name_from_the_command_line(override: str) -> None:
    one_line(lambda: compose("train", ["model=tiny", "data.root=.", override], TrainConfig), "_target_")


def test_nothing_is_built_by_name_from_a_bundle_or_a_run(tmp_path: Path) -> None:
    bundle, sentinel = tmp_path / "bundle", tmp_path / "sentinel"
    bundle.mkdir()
    trap = {"_target_": "os.mkdir", "path": str(sentinel)}
    (bundle / "model.safetensors").write_bytes(b"")
    for model in (trap, {"visual": trap}, {"text": {"name": {"_target_": "os.mkdir", "_args_": [str(sentinel)]}}}):
        described = {"format_version": 2, "weights_sha256": "0" * 64, "model": model}
        (bundle / "config.json").write_text(json.dumps(described))
        one_line(lambda: read_description(bundle), "config.json")
    run = tmp_path / "run"
    run.mkdir()
    for text in (f"model:\n  _target_: os.mkdir\n  path: {sentinel}\n", "data: !!python/object/apply:os.getcwd []\n"):
        (run / "config.yaml").write_text(text)
        one_line(lambda: export_bundle(run, tmp_path / "out"), "config.yaml")
    assert not sentinel.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_pickled_weights_are_not_run(tmp_path: Path, suffix: str) -> None:
    sentinel = tmp_path / "sentinel"
    for number, write in enumerate((torch.save, lambda tree, path: path.write_bytes(pickle.dumps(tree, protocol=2)))):
        path = tmp_path / f"{number}{suffix}"
        write({"weight": torch.zeros(2), "trap": Trap(sentinel)}, path)
        one_line(lambda path=path: read_tensors(path), "cannot be read as weights")
    assert not sentinel.exists()


def test_pickled_checkpoints_are_not_run(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    torch.save({"version": 1, "step": Trap(sentinel)}, tmp_path / "step-00000001.pt")
    one_line(lambda: newest_checkpoint(tmp_path), "not readable as a checkpoint")
    assert not sentinel.exists()


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)
BOMBS = {
    "references": LAUGHS + "terms: {action: {cut: {also: *m}}}\nclasses: {a: {name: *m}}\nprocedural: *m\nother: *m\n",
    "merges": "a: &a {x: y}\n" + "b: &b {<<: [" + ", ".join(["*a"] * 99) + "]}\nclasses: *b\nterms: *b\n",
    "depth": "classes: " + "[" * 100_000 + "]" * 100_000,
    "objects": "classes: !!python/object/apply:os.getcwd []\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_yaml_bombs_are_refused(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(BOMBS[bomb])
    one_line(lambda: read_terms(path), "bomb.yaml")
    one_line(lambda: load_prompts(path), "bomb.yaml")
    one_line(lambda: read_transitions(path, ["a", "b"]), "bomb.yaml")
    one_line(lambda: read_examples(str(path)), "bomb.yaml")
    (tmp_path / "config.yaml").write_text(BOMBS[bomb])
    one_line(lambda: export_bundle(tmp_path, tmp_path / "out"), "config.yaml")


class Tags(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.addresses |= {value for name, value in attrs if name in ("src", "href") and value}


def test_titles_and_narrations_become_no_markup_of_the_cards(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards") as writer:
        for one in (sample("a", level=Level.VIDEO), sample("a-0001", level=Level.CLIP)):
            writer.add(replace(one, text=WICKED, license=WICKED, source=WICKED))
    with Manifest(tmp_path / MANIFEST_NAME) as manifest:
        manifest.put([VideoRow(video_id="a", path=WICKED, source_relative=WICKED, sha256="", stamp="", license=WICKED)])
    markdown, html = write_card(tmp_path)
    page = Tags()
    page.feed(html.read_text())
    assert not page.tags & {"script", "iframe", "object", "link"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert {address[:11] for address in page.addresses} == {"data:image/"}
    config = compose("train", ["model=tiny", "data.root=."], TrainConfig).model
    told = card_text(config, {"licences of the videos": WICKED}, options=None, opens_in_open_clip=False)
    for text in (markdown.read_text(), told):
        assert "<script" not in text
        assert "<img" not in text
        assert "![](http" not in text
