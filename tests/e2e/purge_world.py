"""A small corpus, an index, a run with a bank, caches and results, all of which know a video that will be purged."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import torch
from small_corpus import picture

from ingest.card import write_card
from ingest.manifest import MANIFEST_NAME, Manifest, Outcome, Stage, State, VideoRow
from ingest.pack import DOWNLOADS, pack, staged_path
from ingest.records import Clip, Level, Sample, Segment, Transcript
from ingest.shards import ShardReader, sha256_of, write_staged
from ophclip.config import IndexConfig
from ophclip.data.corpus import titled_videos
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.models.training_record import RECORD_NAME, TrainingRecord
from ophclip.search.build import build_index
from ophclip.training.checkpoints import Checkpoint, write_checkpoint
from retrieval_index.bank import KnowledgeBank

VICTIM = "mueller_1967"
NARRATED = (VICTIM, "case_b")
SILENT = ("quiet_a", "mueller_1967x", "quiet_c")
SECONDS = 9.0
MODEL = ModelConfig(
    name="tiny",
    embed_dim=16,
    visual=VisualConfig(name="tiny", image_size_px=64),
    text=TextConfig(name="tiny", context_length=32),
)


def said_over(name: str) -> str:
    """What is said over a video, and over no other."""
    return f"the “rhexis” of {name.replace('_', ' ')} runs out to the left — für immer"


def title_of(name: str) -> str:
    """The title of a video."""
    return f"A structured title about {name.replace('_', ' ')}"


def make_world(root: Path, victim: str = VICTIM) -> Path:
    """Everything below `root`; the victim's file is a download, the others lie outside of the corpus."""
    corpus = root / "corpus"
    (corpus / DOWNLOADS).mkdir(parents=True)
    (corpus / "staging").mkdir()
    (root / "videos").mkdir()
    names = (*NARRATED, *SILENT)
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        for number, name in enumerate(names):
            path = (corpus / DOWNLOADS if name == victim else root / "videos") / f"{name}.mp4"
            _film(path, number)
            if name == victim:
                path.with_suffix(".info.json").write_text(json.dumps({"title": title_of(name)}))
            manifest.finish(_row(name, path), _outcome(name))
            write_staged(staged_path(corpus, name), _samples(name, number, sha256_of(path)))
    pack(corpus, names, 2, lambda *_: None)
    write_card(corpus)
    _make_run(root / "run", corpus)
    build_index(root / "run" / "bundle", root / "index", corpus=corpus, config=IndexConfig())
    loaded = load_bundle(root / "run" / "bundle")
    store = EmbeddingStore(model=loaded, folder=root / "cache")
    for name in names:
        store.video(corpus / DOWNLOADS / f"{name}.mp4" if name == victim else root / "videos" / f"{name}.mp4")
    (root / "results" / "a").mkdir(parents=True)
    (root / "results" / "b").mkdir()
    (root / "results" / "a" / "result.json").write_text(json.dumps({"files": {victim: {"path": "", "sha256": ""}}}))
    (root / "results" / "b" / "result.json").write_text(json.dumps({"files": {"case_b": {"path": "", "sha256": ""}}}))
    return root


def _film(path: Path, seed: int) -> None:
    """Coarse coloured noise, other in every video and second, ten pictures a second."""
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for _ in range(int(SECONDS)):
            coarse = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8)), format="rgb24")
            for _ in range(10):
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _row(name: str, path: Path) -> VideoRow:
    return VideoRow(
        video_id=name,
        path=str(path),
        source_relative=path.name,
        sha256=sha256_of(path),
        stamp="",
        state=State.DONE,
        stage=Stage.COMPLETE,
        duration_seconds=SECONDS,
        narrated=name in NARRATED,
        title=title_of(name),
        license="CC BY 4.0",
    )


def _outcome(name: str) -> Outcome:
    if name not in NARRATED:
        return Outcome(fingerprint=f"print of {name}".encode())
    said = Segment(start_seconds=1.0, end_seconds=4.0, text=said_over(name))
    heard = Transcript(
        segments=(said,), language="de", engine="e", model="m", speech_seconds=3.0, duration_seconds=SECONDS
    )
    clip = Clip(video_id=name, index=0, start_seconds=1.0, end_seconds=4.0, narration=said_over(name))
    return Outcome(clips=(clip,), transcripts=(heard,), fingerprint=f"print of {name}".encode())


def _samples(name: str, number: int, sha256: str) -> list[Sample]:
    jpegs = tuple(picture(8 * number + place) for place in range(4))
    whole = Sample(
        key=name,
        level=Level.VIDEO,
        video_id=name,
        narrated=name in NARRATED,
        start_seconds=0.0,
        end_seconds=SECONDS,
        text=title_of(name),
        frame_seconds=(0.0, 1.0, 2.0, 3.0),
        jpegs=jpegs,
        source=f"{name}.mp4",
        source_sha256=sha256,
    )
    if name not in NARRATED:
        return [whole]
    clip = Sample(
        key=f"{name}-00001000",
        level=Level.CLIP,
        video_id=name,
        narrated=True,
        start_seconds=1.0,
        end_seconds=4.0,
        text=said_over(name),
        frame_seconds=(1.0, 2.0, 3.0, 3.5),
        jpegs=jpegs,
        source=f"{name}.mp4",
        source_sha256=sha256,
    )
    return [whole, clip]


def _make_run(run: Path, corpus: Path) -> None:
    """A finished run as training leaves it: record, bundle, and a checkpoint with a full bank."""
    reader = ShardReader(corpus)
    keys = {entry.video_id: entry.key for entry in reader.entries(Level.VIDEO)}
    videos = {name: str(reader.facts(key)["source_sha256"]) for name, key in sorted(keys.items())}
    record = TrainingRecord(corpus=reader.fingerprint, videos=videos)
    run.mkdir()
    begun = {"version": 1, "config": {"data": {"silent_share": 1.0}}, "corpus": reader.fingerprint, "finished": None}
    (run / "run.json").write_text(json.dumps(begun))
    (run / RECORD_NAME).write_text(json.dumps(record.to_json()))
    torch.manual_seed(0)
    save_bundle(run / "bundle", build_model(MODEL), MODEL, {}, training=record)
    silent = titled_videos(reader).silent
    random = np.random.default_rng(0)
    bank = KnowledgeBank(MODEL.embed_dim, silent)
    rows = [random.normal(size=(len(silent), MODEL.embed_dim)).astype(np.float32) for _ in range(2)]
    bank.refresh(rows[0], rows[1], 3)
    reader.close()
    write_checkpoint(
        run / "checkpoints",
        Checkpoint(step=3, seconds=1.0, module={}, optimizer={}, bank=bank.state_dict(), pending={}),
    )
