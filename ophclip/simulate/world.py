"""A whole simulated world on disk: spoken, rendered in parallel, continued after a stop, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import cv2

from ophclip.progress import Progress
from ophclip.simulate.casebook import Case, Role, case_json, casebook, info_json
from ophclip.simulate.config import SimulateConfig, Site, identity
from ophclip.simulate.draw import stream
from ophclip.simulate.eye import Pixels
from ophclip.simulate.layouts.takes import Take
from ophclip.simulate.scene import Scene
from ophclip.simulate.speech import SENTENCES_PER_PROCESS, Utterance, find_voice, narrate, quiet_sound, speak
from ophclip.simulate.truth import Record, truth_files, write_text
from ophclip.simulate.video import TICKS_PER_SECOND, Samples, write_video

VERSION = 1
WORK = ".work"


@dataclass(frozen=True, slots=True)
class World:
    """A finished world: its folders, and how many videos were made now rather than found."""

    out: Path
    narrated: int
    silent: int
    held_out: int
    rendered: int

    @property
    def videos(self) -> Path:
        """The narrated and silent videos: what `ophclip ingest` reads."""
        return self.out / "videos"

    @property
    def truth(self) -> Path:
        return self.out / "truth"

    @property
    def cataract101(self) -> Path:
        return self.out / "held_out" / "cataract101"

    @property
    def ophnet(self) -> Path:
        return self.out / "held_out" / "ophnet"

    @property
    def instruments(self) -> Path:
        return self.out / "held_out" / "instruments"


def simulate(config: SimulateConfig, progress: Progress | None = None) -> World:
    """Make the world that `config` describes in `config.out`, or finish or find it there.

    `progress(done, total, message)` is called in this process. ValueError: the folder holds another world, cannot be
    written, or speech is asked for and piper or its voice is missing.
    """
    out = Path(config.out)
    _claim(out, config)
    cases = casebook(config)
    if (out / "world.json").is_file() and all((out / case.path).is_file() for case in cases):
        return _world(out, config, 0)
    rendered = _make(out, config, cases, progress or _no_progress)
    records = {case.name: _read_record(out, case) for case in cases}
    takes = [Take(case=case, video=out / case.path, seed=config.seed) for case in cases]
    for path, text in truth_files(takes, records).items():
        write_text(out / path, text)
    write_text(out / "world.json", _world_json(config, cases))
    shutil.rmtree(out / WORK)
    return _world(out, config, rendered)


def _no_progress(_done: int, _total: int, _message: str) -> None:
    """Nobody asked."""


def _claim(out: Path, config: SimulateConfig) -> None:
    """Refuse a folder that holds a different world; mark it as this one's."""
    wanted = identity(config)
    for path in (out / "world.json", out / WORK / "config.json"):
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))["config"]
            if found != wanted:
                odd = next(name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name))
                raise ValueError(
                    f"simulate.out: {out} holds another world ({odd} is {found.get(odd)!r}, not {wanted.get(odd)!r}); "
                    "choose an empty folder or repeat the options of that world"
                )
    if not (out / "world.json").is_file() and not (out / WORK / "config.json").is_file():
        try:
            write_text(out / WORK / "config.json", json.dumps({"config": wanted}, indent=1))
        except OSError as error:
            raise ValueError(
                f"simulate.out: cannot write to {out} ({error.strerror}); choose another folder"
            ) from error


def _make(out: Path, config: SimulateConfig, cases: Sequence[Case], progress: Progress) -> int:
    """Speak and render what is missing, in parallel; returns how many videos were rendered."""
    missing = [case for case in cases if not (_record_path(out, case).is_file() and (out / case.path).is_file())]
    batches = _speech_batches(out, missing, config.workers)
    voice = find_voice(config) if any(case.role is Role.NARRATED for case in missing) else Path()
    total, done = len(batches) + len(cases), len(cases) - len(missing)
    (out / WORK / "speech").mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(config.workers, mp_context=context) as pool:
        spoken = [pool.submit(speak, voice, batch, out / WORK / "speech") for batch in batches]
        for step in _finished(spoken, pool):
            done += 1
            progress(done, total, f"speech {step} of {len(batches)}")
        jobs = [pool.submit(render_case, str(out), config, case) for case in missing]
        for step in _finished(jobs, pool):
            done += 1
            progress(done, total, f"video {len(cases) - len(missing) + step} of {len(cases)}")
    return len(missing)


def _finished(jobs: Sequence[Future[None]], pool: ProcessPoolExecutor) -> Iterator[int]:
    """Count jobs as they end; the first failure stops the rest."""
    for step, job in enumerate(as_completed(jobs), start=1):
        if job.exception() is not None:
            pool.shutdown(cancel_futures=True)
        job.result()
        yield step


def _speech_batches(out: Path, cases: Sequence[Case], workers: int) -> list[tuple[Utterance, ...]]:
    """The sentences that are not spoken yet, each once, grouped by speed."""
    wanted = {
        Utterance(line.text, case.program.surgeon.speech_scale)
        for case in cases
        if case.role is Role.NARRATED
        for line in case.program.lines
    }
    missing = sorted(
        (item for item in wanted if not (out / WORK / "speech" / item.file_name).is_file()),
        key=lambda item: (item.length_scale, item.text),
    )
    batches = []
    for scale in sorted({item.length_scale for item in missing}):
        same = [item for item in missing if item.length_scale == scale]
        size = min(SENTENCES_PER_PROCESS, max(8, -(-len(missing) // workers)))
        batches += [tuple(same[k : k + size]) for k in range(0, len(same), size)]
    return batches


def render_case(out: str, config: SimulateConfig, case: Case) -> None:
    """Make one video with its metadata; its record, written last, says that it is whole."""
    cv2.setNumThreads(1)
    root, site = Path(out), Site(config.site)
    program, duration = case.program, case.clock.duration_seconds
    take = Take(case=case, video=root / case.path, seed=config.seed)
    spoken: list[list[object]] = []
    sound: Samples | None
    if case.role is Role.NARRATED:
        scale = program.surgeon.speech_scale
        sound, lines = narrate(program.lines, scale, root / WORK / "speech", duration)
        kinds = {True: "procedural", False: "aside"}
        spoken = [[item.start_seconds, item.end_seconds, item.line.text, kinds[item.line.procedural]] for item in lines]
    else:
        sound = quiet_sound(stream(config.seed, "sound", site.value, case.role.value, case.index), duration)
    target = take.video
    target.parent.mkdir(parents=True, exist_ok=True)
    part = root / WORK / f"{case.name}.mp4"
    write_video(part, _frames(take.scene, case), case.clock, sound)
    part.replace(target)
    if case.role is not Role.HELD_OUT:
        write_text(target.with_suffix(".info.json"), json.dumps(info_json(config, case), indent=1) + "\n")
    seen = [
        [second, item.instrument.value, *(round(edge, 1) for edge in item.box)]
        for second in take.whole_seconds
        for item in take.scene.seen(float(second))
    ]
    write_text(_record_path(root, case), json.dumps({"seen": seen, "spoken": spoken}))


def _frames(scene: Scene, case: Case) -> Iterator[Pixels]:
    for tick in case.clock.ticks:
        yield scene.render(tick / TICKS_PER_SECOND)


def _record_path(out: Path, case: Case) -> Path:
    return out / WORK / "records" / f"{case.name}.json"


def _read_record(out: Path, case: Case) -> Record:
    record: Record = json.loads(_record_path(out, case).read_text(encoding="utf-8"))
    return record


def _world_json(config: SimulateConfig, cases: Sequence[Case]) -> str:
    world: Mapping[str, object] = {
        "version": VERSION, "seed": config.seed, "site": Site(config.site).value, "config": identity(config),
        "videos": [case_json(case) for case in cases],
    }  # fmt: skip
    return json.dumps(world, indent=1) + "\n"


def _world(out: Path, config: SimulateConfig, rendered: int) -> World:
    return World(out, config.narrated, config.silent, config.held_out, rendered)


def world_digest(out: Path) -> str:
    """One hash over every file of a world, by path and content."""
    digest = hashlib.sha256()
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(out).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
