"""Damages files in seeded ways and reads them: `python fuzz_runner.py CASES [SEED]` prints a table for docs/faults.md.

Every case is read in one of two processes (`ingest.pool`), held to a gigabyte more than it began with and to half a
minute; the files are made anew, small ones, and nothing of them is kept.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from filming import film, steady, tone
from mutations import mutate
from small_corpus import picture, write_corpus

from ingest.config.sources import LimitsConfig
from ingest.media.confine import memory_bounded
from ingest.pool import Crash, Note, Tell, run_pool

LIMITS = LimitsConfig(max_memory_gb=1.0)
STALL_SECONDS = 30.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged file: the number chooses the kind, the rest is the seed's."""

    kind: str
    number: int
    seed: int


@dataclass(frozen=True, slots=True)
class Told:
    """How one case ended: `result`, `refused` in one line, or what must not be, with the words."""

    outcome: str
    mutation: str
    words: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


def write_originals(folder: Path) -> None:
    """One small file or folder of every kind, under a folder named as the kind."""
    import pyarrow
    import pyarrow.parquet
    import torch
    from safetensors.torch import save_file
    from small_corpus import sample

    from ingest.records import Level
    from ingest.shards import write_staged
    from ophclip.composing import compose
    from ophclip.config import TrainConfig
    from ophclip.models.bundle import _plain
    from ophclip.training.checkpoints import Checkpoint, write_checkpoint
    from retrieval_index.vectors import VectorIndex

    for kind in ("mp4", "wav", "jpg", "tar", "json", "parquet", "checkpoint", "index"):
        (folder / kind).mkdir()
    film(folder / "mp4" / "v.mp4", steady(1.2), [(tone(1.2), 16_000)])
    with av.open(str(folder / "wav" / "v.wav"), "w") as container:
        track = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        block = av.AudioFrame.from_ndarray((tone(0.3) * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        block.sample_rate = 16_000
        container.mux((*track.encode(block), *track.encode(None)))
    (folder / "jpg" / "picture.jpg").write_bytes(picture(1))
    for kind in ("tar", "json"):
        write_corpus(folder / kind / "corpus", clips=(1, 2), silent=1, untitled=0)
    write_staged(folder / "tar" / "staged.tar", [sample("a", level=Level.VIDEO), sample("a-0001", level=Level.CLIP)])
    chapters = [{"start_time": 0.0, "end_time": 4.0, "title": "Incision"}]
    info = {"title": "Phaco", "license": "CC BY 4.0", "uploader": "U", "chapters": chapters, "tags": ["eye"]}
    (folder / "json" / "video.info.json").write_text(json.dumps(info))
    (folder / "json" / "bundle").mkdir()
    model = _plain(asdict(compose("train", ["model=tiny", "data.root=."], TrainConfig).model))
    described = {"format_version": 2, "weights_sha256": "0" * 64, "model": model}
    (folder / "json" / "bundle" / "config.json").write_text(json.dumps(described))
    (folder / "json" / "bundle" / "model.safetensors").write_bytes(b"")
    table = {name: [f"{name} {n}" for n in range(500)] for name in ("path", "title", "license")}
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "parquet" / "list.parquet", compression="none")
    tensors = {"weight": torch.arange(64.0).reshape(8, 8), "bias": torch.zeros(8)}
    save_file(tensors, folder / "checkpoint" / "weights.safetensors")
    torch.save(tensors, folder / "checkpoint" / "weights.pt")
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}
    state = Checkpoint(step=5, seconds=1.0, module=tensors, optimizer=optimizer, bank={}, pending={"clip": []})
    write_checkpoint(folder / "checkpoint", state)
    VectorIndex(8, [str(n) for n in range(20)], np.random.default_rng(0).normal(size=(20, 8))).save(folder / "index")


def read_mp4(path: Path, _root: Path) -> None:
    from ingest.media.decode import scan
    from ingest.media.probe import probe
    from ingest.media.readers import frames_at

    told = []
    for call in (
        lambda: scan(path, lambda _s, _p: None, fps=2.0, short_side_px=48, on_glance=lambda _s, _p: None),
        lambda: probe(path),
        lambda: frames_at(path, [0.7, 0.1]),
    ):
        try:
            call()
        except ValueError as error:
            told.append(str(error))
            require_tidy(told[-1])
    if told:
        raise ValueError(told[0])


def read_wav(path: Path, _root: Path) -> None:
    from ingest.media import read_audio

    read_audio(path)


def read_jpg(path: Path, _root: Path) -> None:
    from ophclip.data.pictures import decode_square, read_picture

    data = path.read_bytes()
    told = []
    for call in (lambda: read_picture(path), lambda: decode_square(data, 32)):
        try:
            call()
        except ValueError as error:
            told.append(str(error))
            require_tidy(told[-1])
    if told:
        raise ValueError(told[0])


def read_tar_or_corpus(path: Path, root: Path) -> None:
    from ingest.records import Level
    from ingest.shards import ShardReader, decode_jpeg, read_tar

    if path.name == "staged.tar":
        list(read_tar(path))
        return
    reader = ShardReader(root / "corpus")
    try:
        for level in Level:
            for entry in reader.entries(level):
                for jpeg in reader.read(entry.key).jpegs:
                    decode_jpeg(jpeg)
                reader.verify_shard_of(entry.key)
    finally:
        reader.close()


def read_json(path: Path, root: Path) -> None:
    from ingest.sources.metadata import parse_metadata
    from ophclip.models.description import read_description

    if path.name == "video.info.json":
        _metadata, complaint = parse_metadata(path.read_bytes(), path.name)
        if complaint:
            raise ValueError(complaint)
    elif path.name == "config.json":
        read_description(root / "bundle")
    else:
        read_tar_or_corpus(path, root)


def read_parquet(path: Path, _root: Path) -> None:
    from ingest.sources.listing import rows_of_list

    rows_of_list(str(path))


def read_checkpoint_or_weights(path: Path, _root: Path) -> None:
    from ingest.tensors import read_tensors
    from ophclip.training.checkpoints import read_checkpoint

    (read_checkpoint if path.name.startswith("step-") else read_tensors)(path)


def read_index(_path: Path, root: Path) -> None:
    from retrieval_index.vectors import VectorIndex

    VectorIndex.load(root).search(np.ones((1, 8), dtype=np.float32), 3)


READERS: dict[str, Callable[[Path, Path], None]] = {
    "mp4": read_mp4,
    "wav": read_wav,
    "jpg": read_jpg,
    "tar": read_tar_or_corpus,
    "json": read_json,
    "parquet": read_parquet,
    "checkpoint": read_checkpoint_or_weights,
    "index": read_index,
}
SHARES = {"mp4": 4, "wav": 3, "jpg": 3, "tar": 4, "json": 4, "parquet": 3, "checkpoint": 3, "index": 1}
"""Of twenty-five cases."""


def peak_rss_mb() -> float:
    """The most this process held; `ru_maxrss` would tell that of a larger parent, which is inherited."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def require_tidy(words: str) -> None:
    """One line that is not empty; anything else is a fault of ours."""
    if "\n" in words or not words.strip():
        raise AssertionError(f"not one line: {words!r}")


class Fuzz:
    """What one process does: damage a file in its own copy of the originals, read it, put it back."""

    def __init__(self, originals: Path) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="fuzz", dir=originals.parent))
        self._originals = originals
        self._files = {
            kind: sorted(path for path in (originals / kind).rglob("*") if path.is_file() and _is_read(kind, path))
            for kind in READERS
        }
        for path in originals.rglob("*"):
            target = self._root / path.relative_to(originals)
            target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
        for kind, paths in self._files.items():  # undamaged they can be read, and every library is loaded
            for path in paths:
                READERS[kind](self._root / path.relative_to(originals), self._root / kind)

    def __call__(self, case: Case, _tell: Tell) -> Told:
        files = self._files[case.kind]
        source = files[case.number % len(files)]
        root = self._root / case.kind
        target = self._root / source.relative_to(self._originals)
        whole = source.read_bytes()
        name, data = mutate(case.kind, whole, case.seed)
        target.write_bytes(data)
        began = time.perf_counter()
        outcome, words = "result", ""
        try:
            with memory_bounded(LIMITS):
                READERS[case.kind](target, root)
        except ValueError as error:
            outcome, words = "refused", str(error)
            if "\n" in words or not words.strip():
                outcome = "untidy"
        except Exception as error:  # noqa: BLE001 what the suite looks for
            outcome, words = "broke", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finally:
            target.write_bytes(whole)
        return Told(outcome, f"{source.name} {name}", words[:300], time.perf_counter() - began, peak_rss_mb())


def _is_read(kind: str, path: Path) -> bool:
    """In a corpus or a bundle some files are of another kind."""
    return path.suffix == f".{kind}" or kind not in ("tar", "json")


def cases(count: int, seed: int) -> Sequence[Case]:
    """So many cases, the kinds in turn."""
    turn = [kind for kind, share in SHARES.items() for _ in range(share)]
    return [Case(turn[n % len(turn)], n // len(turn) + n, seed + n) for n in range(count)]


def fuzz(count: int, seed: int, folder: Path) -> Iterator[tuple[Case, Told]]:
    """Read so many damaged files; a case that took its process down or stood still is told as `ended`."""
    originals = folder / "originals"
    originals.mkdir()
    write_originals(originals)
    news = run_pool(
        partial(Fuzz, originals),
        cases(count, seed),
        workers=min(WORKERS, os.cpu_count() or 1),
        tasks_per_worker=2_000,
        stall_seconds=STALL_SECONDS,
    )
    for case, told in news:
        if isinstance(told, Crash):
            yield case, Told("ended", "", told.reason)
        elif not isinstance(told, Note):
            yield case, told


def table(found: Sequence[tuple[Case, Told]]) -> str:
    """Kinds against outcomes, in Markdown."""
    rows = ["| file | cases | read | refused in one line | process ended | anything else | slowest, s | peak, MB |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for kind in READERS:
        of_kind = [told for case, told in found if case.kind == kind]
        counts = Counter(told.outcome for told in of_kind)
        other = len(of_kind) - sum(counts[name] for name in ("result", "refused", "ended"))
        slowest, peak = max(told.seconds for told in of_kind), max(told.peak_mb for told in of_kind)
        numbers = (len(of_kind), counts["result"], counts["refused"], counts["ended"], other)
        rows.append(f"| {kind} | {' | '.join(f'{number:,}' for number in numbers)} | {slowest:.1f} | {peak:.0f} |")
    return "\n".join(rows)


def main(count: int, seed: int) -> None:
    """Run, print the table, and fail with the first words of whatever must not be."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(fuzz(count, seed, Path(folder)))
    print(table(found))  # noqa: T201
    faults = [(case, told) for case, told in found if told.outcome not in ("result", "refused")]
    for words, number in Counter(f"{case.kind} {told.mutation}: {told.words}" for case, told in faults).most_common(60):
        print(f"{number} x {words}", file=sys.stderr)  # noqa: T201
    sys.exit(any(told.outcome != "ended" for _case, told in faults))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
