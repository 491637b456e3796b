"""What a user gets wrong is told in one line that names it, before anything heavy is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

RUNNER = """
import contextlib, io, json, sys
from ophclip.cli import main

HEAVY = {"torch", "torchvision", "transformers", "open_clip", "timm", "lightning", "faster_whisper", "matplotlib"}
for words in json.load(sys.stdin):
    said, status, before = io.StringIO(), 0, HEAVY & sys.modules.keys()
    sys.argv = ["ophclip", *words]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, said.getvalue(), sorted((HEAVY & sys.modules.keys()) - before)]), flush=True)
"""
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "a folder of videos that is not there": (("demo", "--videos", "nowhere", "--out", "out"), "nowhere"),
    "an output that is a file": (("demo", "--out", "file"), "file"),
    "a stage's option of the demo": (("demo", "--out", "out", 'train=["trainer.stepz=4"]'), "stepz"),
    "weights of the demo": (("demo", "--out", "out", 'ingest=["asr.model=no_model.pt"]'), "no_model.pt"),
    "an empty folder": (("ingest", "empty", "--out", "corpus"), "empty"),
    "a source that is not there": (("ingest", "nowhere", "--out", "corpus"), "nowhere"),
    "a corpus that is a file": (("ingest", "videos", "--out", "file"), "file"),
    "a corpus on a bucket": (("ingest", "videos", "--out", "s3://me:hush@b/c"), "`ophclip ingest publish`"),
    "a corpus to publish": (("ingest", "publish", "nowhere", "s3://b/c"), "nowhere"),
    "an option of ingest": (("ingest", "videos", "--out", "corpus", "asr.egnine=x"), "egnine"),
    "a speech model": (("ingest", "videos", "--out", "corpus", "asr.model=no_model.pt"), "no_model.pt"),
    "transcripts": (("ingest", "videos", "--out", "corpus", "--transcripts", "no_words"), "no_words"),
    "evaluation videos": (("ingest", "videos", "--out", "corpus", "--against", "no_guard"), "no_guard"),
    "status of no corpus": (("ingest", "status", "nowhere"), "nowhere"),
    "export of no corpus": (("ingest", "export", "nowhere", "--out", "tables"), "nowhere"),
    "card of no corpus": (("ingest", "card", "nowhere"), "nowhere"),
    "labels that are not there": (("ingest", "calibrate", "nowhere", "--labels", "no_labels.csv"), "no_labels"),
    "a world that is a file": (("simulate", "file"), "file"),
    "an experiment's corpus": (("train", "data.root=no_corpus", "+exp=demo"), "no_corpus"),
    "an option of training": (("train", "data.rot=x"), "rot"),
    "a missing option of training": (("train", "+exp=demo"), "data.root"),
    "a corpus to index": (("index", "no_bundle", "no_corpus", "--out", "index"), "no_corpus"),
    "a bundle to index with": (("index", "no_bundle", "--videos", "videos", "--out", "index"), "no_bundle"),
    "nothing to index": (("index", "no_bundle", "--out", "index"), "nothing to index"),
    "a folder to index": (("index", "no_bundle", "--videos", "nowhere", "--out", "index"), "nowhere"),
    "a corpus to purge": (
        ("purge", "--video", "v", "--signed-off-by", "A. B.", "--reason", "c", "--corpus", "nowhere"),
        "nowhere",
    ),
    "a corpus that is none": (
        ("purge", "--video", "v", "--signed-off-by", "A. B.", "--reason", "c", "--corpus", "empty"),
        "no corpus",
    ),
    "nowhere to purge": (("purge", "--video", "v", "--signed-off-by", "A. B.", "--reason", "c"), "--corpus or --index"),
    "nothing to export": (("export", "--to", "fiftyone"), "--hits"),
    "hits that are not there": (("export", "--hits", "no_hits"), "no_hits"),
    "labels to read back": (("labels", "no_export.json", "--out", "t.csv"), "no_export"),
    "an index": (("search", "no_index", "lens injector"), "no_index"),
    "an index to serve": (("serve", "no_index"), "no_index"),
    "an option of serving": (("serve", "no_index", "requestz=1"), "requestz"),
    "an address that others reach": (("serve", "no_index", "--host", "0.0.0.0"), "ophclip token create"),
    "tokens to list": (("token", "list", "--file", "no_tokens.json"), "no_tokens.json"),
    "a dataset to check": (("datasets", "check", "no_dataset", "--root", "videos"), "no_dataset"),
    "neither a dataset nor a video": (("zeroshot", "no_bundle"), "--dataset"),
    "a dataset without its folder": (("zeroshot", "no_bundle", "--dataset", "ophnet"), "--root"),
    "a dataset": (("zeroshot", "no_bundle", "--dataset", "cataract101", "--root", "no_data"), "no_data"),
    "a bundle to recognise with": (("zeroshot", "no_bundle", "--video", "a.mp4"), "no_bundle"),
    "prompts": (("zeroshot", "no_bundle", "--video", "a.mp4", "--prompts", "no_prompts.yaml"), "no_prompts.yaml"),
    "a dataset to probe": (("probe", "no_bundle", "--dataset", "cataract101", "--root", "no_data"), "no_data"),
    "an option of a probe": (("probe", "b", "--dataset", "ophnet", "--root", "d", "temporal.layerz=1"), "layerz"),
    "weights of a model of open_clip's": (("zeroshot", "open_clip:RN50,no.pt", "--video", "a.mp4"), "no.pt"),
    "vectors of a dataset": (("embed", "no_bundle", "--dataset", "lensid", "--root", "no_data"), "no_data"),
    "vectors of nothing": (("embed", "no_bundle"), "--dataset"),
    "a result to compare": (("compare", "no_result", "no_other"), "no_result"),
    "a result to verify": (("verify", "no_result"), "no_result"),
    "a corpus to retrieve from": (("retrieval", "no_bundle", "no_corpus"), "no_corpus"),
    "an option of retrieval": (("retrieval", "no_bundle", "no_corpus", "clip_frame=1"), "clip_frame"),
    "a result to trace": (("trace", "no_result", "video", "3"), "no_result"),
    "a moment to trace": (("trace", "no_result", "video"), "second of video"),
    "a hit to trace": (("trace", "no_result", '{"video_id": "a"}'), "no hit as"),
    "half of what computes a result again": (("verify", "no_result", "--bundle", "b"), "no_result"),
    "a result to report": (("report", "no_result"), "no_result"),
    "a report that is no page": (("report", "no_result", "--out", "report.pdf"), "report.pdf"),
    "a run to pack": (("bundle", "no_run", "--out", "bundle"), "no_run"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """How a command ended."""

    status: int
    said: str
    loaded: list[str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Told]:
    """Every case in one process, one after the other."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "empty").mkdir()
    (folder / "videos").mkdir()
    (folder / "videos" / "a.mp4").write_bytes(b"")
    (folder / "file").write_text("a file\n")
    run = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps([words for words, _part in CASES.values()]),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return {name: Told(*json.loads(line)) for name, line in zip(CASES, run.stdout.splitlines(), strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_in_one_line_before_anything_heavy_is_loaded(name: str, told: dict[str, Told]) -> None:
    one = told[name]
    lines = [line for line in one.said.splitlines() if line.startswith("ophclip: ")]
    assert one.status == 2, one.said
    assert len(lines) == 1
    assert CASES[name][1] in lines[0]
    assert "Traceback" not in one.said
    assert one.loaded == []
