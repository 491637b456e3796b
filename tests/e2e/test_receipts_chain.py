"""An answer is followed back to all that it rests on, and a link that is missing is told while the rest is shown."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filming import film, steady
from small_corpus import picture

from ingest.manifest import Manifest, Outcome, State, VideoRow
from ingest.records import Clip, Correction, Level, Refused, Rejection, Sample, Segment, Transcript, Word
from ingest.shards import ShardReader, ShardWriter, sha256_of
from ophclip.cli import main
from ophclip.config import IndexConfig, MatchingConfig, ScoredUnit, ZeroShotConfig
from ophclip.data.corpus import drawn_videos
from ophclip.data.dataset import read_batch
from ophclip.evaluation import crossmodal
from ophclip.evaluation.embedding_writer import embed_dataset
from ophclip.evaluation.leakage import Evidence, Finding
from ophclip.evaluation.matching.run import match_corpus
from ophclip.evaluation.runs import zeroshot_dataset
from ophclip.evaluation.verifying import verify_from_videos, verify_result
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.models.training_record import TrainingRecord
from ophclip.search.build import build_index
from ophclip.search.index import open_index
from ophclip.tracing.records import Trace
from ophclip.tracing.run import trace

WORDS = (("Doctor", 1.0), ("[name]", 1.5), ("tears", 4.0), ("the", 4.4), ("capsulorhexis", 4.8))
PROMPTS = """
prompts: {author: me, date: "2026"}
classes:
  incision: {name: [incision], narration: [I make the incision]}
  rhexis: {name: [rhexis], narration: [I tear the capsule]}
"""


def _sample(key: str, level: Level, span: tuple[float, float], text: str, sha256: str) -> Sample:
    return Sample(
        key=key, level=level, video_id=key.partition("-")[0], narrated=True, start_seconds=span[0], end_seconds=span[1],
        text=text, frame_seconds=(span[0],), jpegs=(picture(len(key)),), license="CC BY 4.0", source_sha256=sha256,
    )  # fmt: skip


def _write_corpus(corpus: Path, videos: Mapping[str, Path]) -> None:
    """What ingest leaves: a term corrected, a name masked, a sentence refused."""
    words = tuple(Word(start_seconds=s, end_seconds=s + 0.4, text=text, probability=0.9) for text, s in WORDS)
    segments = (
        Segment(start_seconds=1.0, end_seconds=2.0, text="Doctor [name]", words=words[:2]),
        Segment(start_seconds=4.0, end_seconds=5.4, text="tears the capsulorhexis", words=words[2:]),
    )
    later = {"start_seconds": 6.0, "end_seconds": 7.0, "reason": "no"}
    change = {"start_seconds": 4.8, "end_seconds": 5.2, "reason": "sound 1.00"}
    with ShardWriter(corpus / "shards", 100) as writer, Manifest(corpus / "manifest.sqlite") as manifest:
        for video_id, path in videos.items():
            sha256 = sha256_of(path)
            clips = tuple(
                Clip(
                    video_id=video_id,
                    index=n,
                    start_seconds=4.0 * n,
                    end_seconds=4.0 * n + 4,
                    narration=f"{text} {video_id}",
                )
                for n, text in enumerate(("the incision", "tears the capsulorhexis"))
            )
            row = VideoRow(
                video_id=video_id, path=str(path), source_relative=path.name, sha256=sha256, stamp="1",
                state=State.DONE, narrated=True,
                reason="text in the pictures was painted over: 1 places throughout, 0 at times",
                title=f"title {video_id}", license="CC BY 4.0", consent="written, 2024",
            )  # fmt: skip
            outcome = Outcome(
                clips=clips,
                corrections=(
                    Correction(start_seconds=1.0, end_seconds=2.0, before="", after="[name]", reason="identifier"),
                    Correction(**change, before="capsulorexis", after="capsulorhexis"),
                ),
                rejections=(Rejection(**later, text="Please subscribe", kind=Refused.SENTENCE),),
                transcripts=(
                    Transcript(segments=segments, language="en", engine="whisper", model="tiny", speech_seconds=3.0,
                               duration_seconds=9.0),
                ),
            )  # fmt: skip
            manifest.finish(row, outcome)
            writer.add(_sample(video_id, Level.VIDEO, (0.0, 9.0), row.title, sha256))
            for clip in clips:
                key = f"{video_id}-{round(clip.start_seconds * 1000):08d}"
                writer.add(_sample(key, Level.CLIP, (clip.start_seconds, clip.end_seconds), clip.narration, sha256))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, their corpus, a bundle trained on one of them, a result of phases, one of retrieval, and an index."""
    root = tmp_path_factory.mktemp("chain")
    (root / "videos").mkdir()
    videos = {name: film(root / "videos" / f"{name}.mp4", steady(9.0, fps)) for name, fps in (("a", 10), ("b", 5))}
    _write_corpus(root / "corpus", videos)
    reader = ShardReader(root / "corpus")
    seen = drawn_videos(reader, 1.0, texts=True)
    record = TrainingRecord(corpus=reader.fingerprint, videos={"a": seen["a"], "b": "0" * 64})
    config = ModelConfig(
        name="tiny",
        embed_dim=16,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
    )
    torch.manual_seed(0)
    save_bundle(root / "bundle", build_model(config), config, {}, {"seed": 3, "optim": {"rate": 1.0}}, training=record)
    (root / "phases.csv").write_text(
        "video,start_seconds,end_seconds,label\na,0,4,incision\na,4,9,rhexis\nb,0,9,incision\n"
    )
    (root / "prompts.yaml").write_text(PROMPTS)
    zeroshot_dataset(
        root / "bundle",
        "phase-table",
        root / "phases.csv",
        root / "result",
        config=ZeroShotConfig(bootstrap_samples=20, chance_samples=5, window_seconds=2.0),
        prompts=str(root / "prompts.yaml"),
        videos=(root / "videos",),
    )
    match_corpus(root / "bundle", str(root / "corpus"), root / "retrieval", config=MatchingConfig(bootstrap_samples=20))
    build_index(root / "bundle", root / "index", corpus=root / "corpus", config=IndexConfig())
    return root


def _facts(found: Trace, name: str) -> Mapping[str, Any]:
    (link,) = [link for link in found.links if link.name == name]
    return link.facts


def _standing(found: Trace) -> dict[str, str]:
    return {link.name: link.standing.value for link in found.links}


def test_a_row_of_phases_is_followed_to_words_shard_and_sentences(place: Path) -> None:
    found = trace(place / "result", "a", 5.3, corpus=place / "corpus")
    assert not found.broken
    assert set(_standing(found).values()) == {"holds"}
    row = _facts(found, "row")
    assert (row["second"], row["truth"], row["protocol"]) == (5.0, "rhexis", "video_macro_v1")
    assert row["rule"].startswith("per video accuracy")
    assert _facts(found, "source")["sha256"] == sha256_of(place / "videos" / "a.mp4")
    words = _facts(found, "words")
    assert [word["text"] for segment in words["heard"] for word in segment["words"]] == [text for text, _ in WORDS]
    (corrected,), (masked,), (refused,) = words["corrected"], words["masked"], words["refused"]
    assert (corrected["before"], corrected["after"], corrected["rule"]) == (
        "capsulorexis",
        "capsulorhexis",
        "sound 1.00",
    )
    assert (masked["as"], refused["text"]) == ("[name]", "Please subscribe")
    consent = _facts(found, "consent")
    assert (consent["license"], consent["consent"]) == ("CC BY 4.0", "written, 2024")
    assert consent["deidentified"]["identifiers masked in what was heard"] == 1
    assert "painted over" in consent["deidentified"]["pictures"]
    samples = {one["key"]: one for one in _facts(found, "samples")["samples"]}
    assert set(samples) == {"a", "a-00004000"}
    clip = samples["a-00004000"]
    shard = Path(clip["shard"])
    assert sha256_of(shard) == clip["shard_sha256"]
    assert json.loads(shard.read_bytes()[clip["json_offset"] :].partition(b"\0")[0])["key"] == "a-00004000"
    model = _facts(found, "model")
    assert (model["saw_this_video"], model["options"]) == (True, {"seed": 3, "optim.rate": 1.0})
    sentences = _facts(found, "sentences")
    assert {one["class"] for one in sentences["sentences"]} == {row["predicted"], row["truth"]}
    assert all(-1 <= one["score"] <= 1 for one in sentences["sentences"])
    assert sentences["predicted_again"] == row["predicted"]
    assert json.loads(json.dumps(found.to_json()))["links"][0]["standing"] == "holds"
    assert any("capsulorexis" in line and "sound 1.00" in line for line in found.lines())


def test_words_far_away_are_not_shown(place: Path) -> None:
    words = _facts(trace(place / "result", "a", 8.5, corpus=place / "corpus", around_seconds=2.0), "words")
    assert (words["heard"], words["masked"], words["corrected"]) == ([], [], [])
    assert len(words["refused"]) == 1


def test_labelled_videos_of_no_corpus_have_no_words_and_nothing_is_broken(place: Path) -> None:
    found = trace(place / "result", "b", 3.0)
    assert not found.broken
    assert {name for name, standing in _standing(found).items() if standing == "absent"} == {
        "words", "consent", "samples",
    }  # fmt: skip
    assert _facts(found, "model")["saw_this_video"] is False


def test_vectors_that_others_made_are_followed_to_their_files(place: Path, tmp_path: Path) -> None:
    given = {"prompts": str(place / "prompts.yaml"), "videos": (place / "videos",)}
    config = ZeroShotConfig(bootstrap_samples=5, chance_samples=2)
    embed_dataset(place / "bundle", "phase-table", place / "phases.csv", tmp_path / "vectors", config=config, **given)
    out = tmp_path / "result"
    zeroshot_dataset(str(tmp_path / "vectors"), "phase-table", place / "phases.csv", out, config=config, **given)
    found = trace(out, "a", 5.0)
    assert not found.broken
    assert _facts(found, "source")["file"] == str(place / "videos" / "a.mp4"), "the vectors say whose they are"
    assert _facts(found, "sentences")["predicted_again"] == _facts(found, "row")["predicted"]
    assert json.loads((out / "result.json").read_text())["leakage"]["finding"] == Finding.UNKNOWN.value
    frames = tmp_path / "vectors" / "frames"
    vectors_td = np.load(frames / "a.npz")["vectors"]
    (frames / "a.npz").unlink()
    np.save(frames / "a.npy", vectors_td)
    zeroshot_dataset(tmp_path / "vectors", "phase-table", place / "phases.csv", out, config=config, **given)
    found = trace(out, "a", 5.0)
    assert not found.broken
    assert _facts(found, "source")["file"] == str(frames / "a.npy"), "these do not"
    np.save(frames / "a.npy", vectors_td[::-1])
    assert [link.name for link in trace(out, "a", 5.0).broken] == ["source", "model"]


def test_segments_scored_as_clips_are_followed_too(place: Path, tmp_path: Path) -> None:
    zeroshot_dataset(
        str(place / "bundle"),
        "phase-table",
        place / "phases.csv",
        tmp_path / "clips",
        config=ZeroShotConfig(bootstrap_samples=5, unit=ScoredUnit.SEGMENT),
        prompts=str(place / "prompts.yaml"),
        videos=(place / "videos",),
    )
    found = trace(tmp_path / "clips", "a", 5.0, corpus=place / "corpus")
    assert not found.broken
    assert [file["truth"] for file in _facts(found, "row")["files"]] == ["incision", "rhexis"]


def test_a_rank_is_followed_to_its_sample(place: Path) -> None:
    found = trace(place / "retrieval", "b", 1.0)
    assert not found.broken
    ranks = _facts(found, "row")["ranks"]
    assert {one["sample"] for one in ranks} == {"b", "b-00000000"}
    assert {one["direction"] for one in ranks} == {"text_to_visual", "visual_to_text"}
    assert _facts(found, "source")["file"] == str(place / "videos" / "b.mp4")
    assert verify_result(place / "retrieval") == ()
    assert verify_from_videos(place / "retrieval", place / "bundle", "corpus", place / "corpus") == ()


def test_a_retrieval_that_was_cut_short_goes_on_and_ends_as_if_it_had_not(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossmodal, "_KEPT_TOGETHER", 1)
    monkeypatch.setattr(crossmodal, "_SAMPLES_AT_ONCE", 1)
    encoded: list[str] = []
    cut_after = 3

    def counted(reader: ShardReader, keys: Sequence[str], **rest: Any) -> Any:
        if len(encoded) == cut_after:
            raise KeyboardInterrupt
        encoded.extend(keys)
        return read_batch(reader, keys, **rest)

    monkeypatch.setattr(crossmodal, "read_batch", counted)
    given = place / "bundle", str(place / "corpus")
    with pytest.raises(KeyboardInterrupt):
        match_corpus(*given, tmp_path / "cut", config=MatchingConfig(bootstrap_samples=20))
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["vectors"]
    cut_after = 99
    match_corpus(*given, tmp_path / "cut", config=MatchingConfig(bootstrap_samples=20))
    assert len(encoded) == len(set(encoded)) == 6, "nothing is encoded twice"
    match_corpus(*given, tmp_path / "whole", config=MatchingConfig(bootstrap_samples=20))
    for name in ("ranks.csv", "result.json"):
        one, other = ((tmp_path / folder / name).read_text() for folder in ("cut", "whole"))
        if name == "result.json":
            one, other = (json.dumps({**json.loads(text), "throughput": 0}) for text in (one, other))
        assert one == other
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["ranks.csv", "result.json"]


def test_a_hit_is_followed_with_its_query(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_index(place / "index") as index:
        (hit,) = index.search(text="capsulorhexis forceps", k=1)
    assert _run(monkeypatch, "search", place / "index", "capsulorhexis forceps", "--k", 1, "--json") == 0
    said = capsys.readouterr().out
    found = trace(place / "index", said)
    assert not found.broken
    assert (found.video_id, found.second) == (hit.video_id, hit.peak_seconds)
    sentences = _facts(found, "sentences")
    assert sentences["score_again"] == pytest.approx(hit.score, abs=1e-5)
    assert sentences["sentences"][0]["sentence"] == "capsulorhexis forceps"
    assert _facts(found, "samples")["samples"]
    lied = json.dumps({**json.loads(said), "score": hit.score + 0.1})
    assert [link.name for link in trace(place / "index", lied).broken] == ["sentences"]
    plain = trace(place / "index", hit.video_id, 1.0)
    assert _standing(plain)["sentences"] == "absent"
    assert not plain.broken


def _lose_bundle(root: Path) -> None:
    (root / "bundle").rename(root / "elsewhere")


def _other_bytes(root: Path) -> None:
    path = root / "videos" / "a.mp4"
    path.unlink()
    film(path, steady(9.0, 8.0))


def _damage_shard(root: Path) -> None:
    (shard,) = (root / "corpus" / "shards").glob("clip-*.tar")
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)


def _other_prompts(root: Path) -> None:
    (root / "prompts.yaml").write_text(PROMPTS.replace("tear", "open"))


def _other_weights(root: Path) -> None:
    path = root / "bundle" / "model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("spoil", "links", "words"),
    [
        (_lose_bundle, ["model"], "name the model with --bundle"),
        (lambda root: (root / "videos" / "a.mp4").unlink(), ["source"], "a.mp4 is gone"),
        (_other_bytes, ["source"], "holds other bytes now"),
        (_damage_shard, ["samples"], "its bytes differ from the checksum"),
        (_other_prompts, ["sentences"], "have changed"),
        (_other_weights, ["model"], "holds weights with SHA-256"),
        (lambda root: shutil.rmtree(root / "corpus" / "shards"), ["samples"], "no shards"),
        (lambda root: (root / "corpus" / "manifest.sqlite").unlink(), ["words", "consent", "samples"], "is not in"),
    ],
)
def test_a_broken_link_is_told_and_the_rest_is_shown(
    place: Path, tmp_path: Path, spoil: Callable[[Path], object], links: list[str], words: str
) -> None:
    root = tmp_path / "moved"
    shutil.copytree(place, root)
    spoil(root)
    found = trace(root / "result", "a", 5.0, corpus=root / "corpus")
    assert [link.name for link in found.broken] == links
    assert words in found.broken[0].reason
    told = "\n".join(found.lines())
    assert f"BROKEN: {found.broken[0].reason}" in told
    assert all(link.name in told for link in found.links)


def test_a_video_that_is_not_there_ends_with_status_1(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "trace", place / "result", "c", 5, "--corpus", place / "corpus", "--json") == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == ["ophclip: 5 broken link(s): row, source, words, consent, samples"]
    assert {link["name"]: link["standing"] for link in json.loads(said.out)["links"]}["model"] == "holds"
    assert _run(monkeypatch, "trace", place / "index", "a", 99) == 1
    assert "no window of a holds 99 s" in capsys.readouterr().out
    assert _run(monkeypatch, "trace", place / "result", "a", 5) == 0


def test_a_result_without_rows_is_refused_in_one_line(place: Path, tmp_path: Path) -> None:
    tree = json.loads((place / "result" / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({**tree, "task": "probe"}))
    with pytest.raises(ValueError, match="a result of probe has no rows to trace"):
        trace(tmp_path, "a", 5.0)


def test_another_video_of_the_same_name_is_not_taken_for_it(place: Path, tmp_path: Path) -> None:
    other = film(tmp_path / "a.mp4", steady(4.0))
    _write_corpus(tmp_path / "corpus", {"a": other})
    found = trace(place / "result", "a", 5.0, corpus=tmp_path / "corpus")
    assert [link.name for link in found.broken] == ["words", "consent", "samples"]
    assert "holds other bytes under a" in found.broken[0].reason


def test_a_result_on_a_training_video_says_so_in_every_place(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("result", "retrieval"):
        leakage = json.loads((place / name / "result.json").read_text())["leakage"]
        assert leakage["finding"] == Finding.SEEN.value
        assert [(one["video_id"], one["evidence"]) for one in leakage["seen"]] == [
            ("a", Evidence.CONTENT.value), ("b", Evidence.NAME.value),
        ]  # fmt: skip
        assert _run(monkeypatch, "verify", place / name) == 0
        said = capsys.readouterr().out
        assert "equal, from predictions and videos" in said
        assert "made on videos that the model was trained on: a (1 of 2)" in said
        assert _run(monkeypatch, "compare", place / name, place / name) == 0
        assert capsys.readouterr().out.count("made on videos that the model was trained on: a (1 of 2)") == 2
    videos, prompts = (place / "videos",), str(place / "prompts.yaml")
    bundle, table = place / "bundle", place / "phases.csv"
    assert verify_from_videos(place / "result", bundle, "phase-table", table, prompts=prompts, videos=videos) == ()


def test_a_result_that_was_moved_is_computed_from_its_videos_where_told_what_lies_where(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "far" / "away" / "result"
    shutil.copytree(place / "result", moved)
    assert _run(monkeypatch, "verify", moved) == 0
    assert "is gone; say with --bundle where it lies now)" in capsys.readouterr().out
    told = ["--bundle", place / "bundle", "--root", place / "phases.csv", "--videos", place / "videos"]
    assert _run(monkeypatch, "verify", moved, *told) == 2
    assert "prompts.yaml is gone; say with --prompts" in capsys.readouterr().err
    assert _run(monkeypatch, "verify", moved, *told, "--prompts", place / "prompts.yaml") == 0
    assert "equal, from predictions and videos" in capsys.readouterr().out


def _run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ophclip", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)
