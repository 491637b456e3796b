"""Breaks training and the making of an index at chosen points: `python stage_runner.py train|index|damage WORK STEP`.

As `fault_runner.py` does it for ingest: every attempt is a forked process, a line of JSON each. A point is a touch of
what is written (a file opened, renamed, removed, flushed), a refresh of the bank, or a size at which the disk is full.
After each the same command runs again undisturbed, and what it leaves is compared with what one undisturbed run left.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import decoding_here  # noqa: F401
from fault_runner import Faults, attempt, fail, jumping_clock, kill
from filming import film, steady
from mutations import EVERY
from painted_corpus import write_corpus

import ophclip.cli
import ophclip.search.build
import ophclip.search.index
import ophclip.training.fit
from ophclip.complaints import one_line
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.training.callbacks import MEASURED
from ophclip.training.run import train
from retrieval_index.bank import KnowledgeBank

SMALL = (
    *("model=tiny", "data.clip_batch=4", "data.video_batch=4", "data.clip_frames=2", "data.video_frames=2"),
    *("data.levels={clip: 1, video: 1}", "data.workers=0", "retrieval.warmup_steps=1", "retrieval.refresh_every=2"),
    *("retrieval.min_score=-1", "trainer.device=cpu", "trainer.threads=1", "trainer.log_every=1"),
    *("trainer.checkpoint_every=2", "trainer.steps=5"),
)
QUERY = "lens injector"


def command(*words: str) -> str:
    """Run `ophclip WORDS`; what it printed. A user's error is a ValueError of what it said."""
    out, said, sys.argv = io.StringIO(), io.StringIO(), ["ophclip", *words]
    status: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            ophclip.cli.main()
        except SystemExit as end:
            status = end.code
    if status not in (0, None):
        lines = [line for line in said.getvalue().splitlines() if line.startswith("ophclip: ")]
        raise ValueError(lines[0]) if len(lines) == 1 and "Traceback" not in said.getvalue() else RuntimeError(said)
    return out.getvalue()


class Training:
    """Five steps on painted colours, a checkpoint and a fresh bank after every second."""

    def __init__(self, work: Path) -> None:
        self._corpus = write_corpus(work / "corpus", narrated=3, silent=3, clips_per_video=2)

    def run(self, out: Path) -> None:
        """As the command does it, in this process."""
        try:
            self._train(out)
        except OSError as error:
            raise ValueError(one_line(error)) from error

    def _train(self, out: Path) -> None:
        train(compose("train", [*SMALL, f"data.root={self._corpus}", f"out={out}"], TrainConfig))

    def found(self, out: Path) -> object:
        """Rows of the figures, checksum of the weights, and which files there are."""
        import csv

        with (out / "metrics.csv").open() as stream:
            rows = [{key: cell for key, cell in row.items() if key not in MEASURED} for row in csv.DictReader(stream)]
        weights = hashlib.sha256((out / "bundle" / "model.safetensors").read_bytes()).hexdigest()
        kept = sorted(str(path.relative_to(out)) for path in out.rglob("*") if "tensorboard" not in path.parts)
        return [rows, weights, kept]


class Indexing:
    """Two films into an index, by the command."""

    def __init__(self, work: Path) -> None:
        torch.manual_seed(0)
        visual, text = VisualConfig(name="tiny", image_size_px=64), TextConfig(name="tiny", context_length=32)
        config = ModelConfig(name="tiny", embed_dim=32, visual=visual, text=text)
        self._bundle = work / "bundle"
        save_bundle(self._bundle, build_model(config), config, {})
        self._videos = work / "videos"
        self._videos.mkdir()
        for name, seconds in (("a", 6.0), ("b", 9.0)):
            film(self._videos / f"{name}.mp4", steady(seconds))

    def run(self, out: Path) -> None:
        command("index", str(self._bundle), "--videos", str(self._videos), "--out", str(out))

    def found(self, out: Path) -> object:
        """What a search says."""
        hits = [json.loads(line) for line in command("search", str(out), QUERY, "--json").splitlines()]
        assert hits
        return hits


def watch(faults: Faults) -> None:
    """Let every touch of what is written count, and every refresh of the bank."""
    sys.addaudithook(faults.audited)
    fsync, refresh = os.fsync, KnowledgeBank.refresh

    def synced(descriptor: int) -> None:
        faults.event()
        fsync(descriptor)

    def refreshed(*given: Any, **options: Any) -> Any:
        faults.event()
        return refresh(*given, **options)

    os.fsync = synced  # type: ignore[assignment]
    KnowledgeBank.refresh = refreshed  # type: ignore[method-assign]


def watched(at: int, strike: Callable[[], None], out: Path) -> Faults:
    faults = Faults(out, at, strike)
    watch(faults)
    return faults


def points(total: int, largest: int, step: int) -> Iterator[tuple[str, int, Callable[[Path], Faults | None]]]:
    """Where and how to break."""
    yield "clock", 0, jumping_clock
    for at in range(1, total + 1, step):
        yield "kill", at, partial(watched, at, kill)
    for at in range(1, total + 1, 2 * step):
        code = (errno.ENOSPC, errno.EIO, errno.EROFS)[at // 2 % 3]
        yield errno.errorcode[code], at, partial(watched, at, fail(code))
    for share in range(0, 20, 2 * step):
        size = largest * share // 20
        yield "disk full", size, partial(limited, size)


def limited(size: int, _out: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def reply(kind: str, at: int, status: int, said: str, *, same: bool, again: str) -> None:
    print(json.dumps([kind, at, status, said, same, again]), flush=True)  # noqa: T201


def break_stages(job: Training | Indexing, work: Path, step: int) -> None:
    out = work / "out"
    run = partial(job.run, out)
    run()  # what a process loads once, forked ones need not
    job.found(out)
    shutil.rmtree(out)
    status, said, total = attempt(run, lambda: watched(0, kill, out))
    assert (status, said) == (0, ""), (status, said)
    expected = told(job, out)
    largest = max(path.stat().st_size for path in out.rglob("*") if path.is_file())
    shutil.rmtree(out)
    for kind, at, prepare in points(total, largest, step):
        status, said, _count = attempt(run, lambda: prepare(out))  # noqa: B023 called at once
        _status, again, _count = attempt(run, lambda: None)
        reply(kind, at, status, said, same=told(job, out) == expected, again=again)
        shutil.rmtree(out)


def told(job: Training | Indexing, out: Path) -> str:
    """What a job left, as seen by a process of its own."""
    place = out.with_name("told.json")
    place.unlink(missing_ok=True)
    status, said, _count = attempt(lambda: place.write_text(json.dumps(job.found(out))), lambda: None)
    return place.read_text() if place.is_file() else f"{status} {said}"


def damage(work: Path, step: int) -> None:
    """Mutate single files of a finished index and of a stopped run, and use them; about 100 / STEP of each."""
    for name, job in (("index", Indexing(work)), ("checkpoint", Training(work))):
        whole = work / name
        job.run(whole)
        if isinstance(job, Training):  # as if it had been stopped before its end
            for path in (whole / "bundle", whole / "run.json"):
                shutil.rmtree(path) if path.is_dir() else strip_finish(path)
        out = work / "out"
        files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and path.stat().st_size)
        for seed in range(0, 100, step):
            shutil.copytree(whole, out)
            rng = np.random.default_rng(seed)
            target, mutation = out / files[seed // step % len(files)], EVERY[int(rng.integers(len(EVERY)))]
            target.write_bytes(mutation(target.read_bytes(), rng))
            use = partial(job.found if isinstance(job, Indexing) else job.run, out)
            status, said, _count = attempt(use, lambda: None)
            reply(f"{name} {target.name} {mutation.__name__}", seed, status, said, same=True, again="")
            shutil.rmtree(out)
        shutil.rmtree(whole)


def strip_finish(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "finished": None}))


if __name__ == "__main__":
    kind, folder, every = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(exist_ok=True)
    if kind == "damage":
        damage(folder, every)
    else:
        break_stages(Training(folder) if kind == "train" else Indexing(folder), folder, every)
