"""What a worker process does with a batch of videos: decode each, hear them together, write the samples of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.batches import Batch, Beat, Moment, on_disk
from ingest.config import IngestConfig
from ingest.disk import SICK_DISK, cannot_write
from ingest.entries import Outcome, Stage, State
from ingest.media import Scan, scan
from ingest.media.confine import memory_bounded
from ingest.media.container import require_size
from ingest.pictures.fingerprint import Marks, build_embedder
from ingest.pictures.masking import Masks, find_masks
from ingest.pictures.overlays import TextReader
from ingest.pictures.screen import Verdict, build_screener
from ingest.pictures.spans import not_surgery, shown
from ingest.pool import HaltError, Tell
from ingest.reading import read_video
from ingest.records import Level, Probe, Sample, Transcript
from ingest.samples import Story, make_samples
from ingest.shards import sha256_of, write_staged
from ingest.sources import SourceError, local_copy
from ingest.speech.transcribe import Transcriber, build_transcriber, listen, transcribe_all
from ingest.speech.transcripts import read_transcript
from ingest.spool import Spool
from ingest.text.chat import NoAnswerError
from ingest.text.titles import to_text
from ingest.text.tools import TextTools
from ingest.viewed import Task, Viewed


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one video; the notes say why it is not done, or what is odd about it."""

    video_id: str
    state: State
    notes: tuple[str, ...]
    sha256: str = ""
    probe: Probe | None = None
    narrated: bool = False
    title: str = ""
    vague_title: bool = True
    language: str = ""
    speech_seconds: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    decode_seconds: float = 0.0
    asr_seconds: float = 0.0
    write_seconds: float = 0.0


class BatchStage:
    """Holds what is loaded once per process."""

    def __init__(self, config: IngestConfig, corpus: Path, transcriber: Transcriber | None = None) -> None:
        """Loads a recogniser of its own unless `transcriber` is given.

        Raises ValueError in one line if it cannot be loaded.
        """
        self._config = config
        self._tools = TextTools(config, corpus)
        self._screener = build_screener(config.screen)
        self._embedder = build_embedder(config.duplicates)
        terms = list(self._tools.hot_words)
        self._transcriber: Transcriber = transcriber or build_transcriber(replace(config.asr, terms=terms))

    def __call__(self, batch: Batch[Task], tell: Tell) -> tuple[Result, ...]:
        """Do the videos of a batch and stage their samples. A video that cannot be used is a result, not an error."""
        with ExitStack() as stack:
            seen = [self._decode(task, stack, tell) for task in batch.tasks]
            usable = [one for one in seen if isinstance(one, Viewed)]
            heard = self._hear(usable, tell)
            done = {one.task.video_id: self._write(one, said, tell) for one, said in zip(usable, heard, strict=True)}
        return tuple(one if isinstance(one, Result) else done[one.task.video_id] for one in seen)

    def _decode(self, task: Task, stack: ExitStack, tell: Tell) -> Viewed | Result:
        beat = Beat(tell, Moment(video_ids=(task.video_id,), stage=Stage.DECODE))
        began = time.perf_counter()
        with on_disk(task.staged.parent):
            spool = stack.enter_context(Spool(task.staged.parent, self._config.shards.jpeg_quality))
        checksum, path = "", Path()
        try:
            require_size(task.file.size_bytes, self._config.limits)
            with local_copy(task.file, task.staged.parent) as path:
                checksum = sha256_of(path)
                looked = self._scan(path, spool, task.staged.parent, beat)
        except SourceError as error:
            return Result(video_id=task.video_id, state=State.FAILED, notes=(str(error),))
        except ValueError as error:
            note = str(error).removeprefix(f"{path}: ")
            return Result(video_id=task.video_id, state=State.REJECTED, sha256=checksum, notes=(note,))
        except OSError as error:
            if error.errno in SICK_DISK[:-1]:
                raise HaltError(cannot_write(task.staged.parent, error)) from error
            return Result(video_id=task.video_id, state=State.FAILED, notes=(f"cannot be read ({error.strerror})",))
        found = looked.scan
        strange = not_surgery(looked.verdicts, self._config.screen.min_surgery_share)
        masks = None if strange else self._masks(spool, looked)
        if masks is not None and masks.refusal:
            strange = f"quarantine: {masks.refusal}"
        if strange:
            return Result(
                video_id=task.video_id,
                state=State.REJECTED,
                sha256=checksum,
                probe=found.probe,
                notes=(*found.notes, strange),
            )
        speech = listen(found.audio, self._config.vad) if found.audio is not None else None
        return Viewed(
            task=task,
            sha256=checksum,
            scan=replace(found, audio=None),
            speech=speech,
            spool=spool,
            verdicts=looked.verdicts,
            fingerprint=looked.fingerprint,
            masks=masks,
            seconds=time.perf_counter() - began,
        )

    def _scan(self, path: Path, spool: Spool, folder: Path, beat: Beat) -> _Looked:
        verdicts: list[Verdict] = []
        marks = Marks(self._embedder)

        def keep(second: float, pixels_hwc: NDArray[np.uint8]) -> None:
            beat()
            with on_disk(folder):
                spool.add(second, pixels_hwc)
            if self._screener is not None:
                verdicts.extend(self._screener.judge([pixels_hwc]))
            if not verdicts or verdicts[-1].surgery:  # a title card that videos share makes them no repeats
                marks.add(second, pixels_hwc)
            else:
                marks.leave_out(second)

        shards = self._config.shards
        with memory_bounded(self._config.limits):
            found = scan(
                path,
                keep,
                fps=shards.fps,
                short_side_px=shards.short_side_px,
                reader=self._config.reader,
                limits=self._config.limits,
                on_glance=marks.glance,
            )
        return _Looked(found, tuple(verdicts), marks.finish().to_bytes())

    def _masks(self, spool: Spool, looked: _Looked) -> Masks | None:
        if not self._config.overlays.enabled:
            return None
        places = shown(looked.verdicts, len(spool.seconds))
        return find_masks(self._text_reader, spool, places, looked.scan.cuts, self._config.overlays)

    @cached_property
    def _text_reader(self) -> TextReader:
        return TextReader(self._config.overlays)

    def _hear(self, seen: Sequence[Viewed], tell: Tell) -> list[_Heard]:
        loud = [one for one in seen if one.speech is not None and one.speech.windows]
        if not loud:
            return [_Heard(None, 0.0) for _ in seen]
        beat = Beat(tell, Moment(video_ids=tuple(one.task.video_id for one in loud), stage=Stage.TRANSCRIBE))
        began = time.perf_counter()
        speeches = [one.speech for one in loud if one.speech is not None]
        said = transcribe_all(speeches, self._transcriber, self._config.asr, beat)
        seconds = time.perf_counter() - began
        total = sum(speech.seconds for speech in speeches)
        by_id = {
            one.task.video_id: _Heard(transcript, seconds * speech.seconds / total)
            for one, speech, transcript in zip(loud, speeches, said, strict=True)
        }
        return [by_id.get(one.task.video_id, _Heard(None, 0.0)) for one in seen]

    def _write(self, seen: Viewed, heard: _Heard, tell: Tell) -> Result:
        tell(Moment(video_ids=(seen.task.video_id,), stage=Stage.WRITE))
        began = time.perf_counter()
        try:
            transcripts = self._transcripts(seen, heard)
        except ValueError as error:
            return Result(video_id=seen.task.video_id, state=State.REJECTED, sha256=seen.sha256, notes=(str(error),))
        try:
            reading = read_video(seen, transcripts, self._tools, self._config)
        except NoAnswerError as error:
            raise HaltError(str(error)) from error
        result = Result(
            video_id=seen.task.video_id,
            state=State.DONE,
            probe=seen.scan.probe,
            sha256=seen.sha256,
            notes=(*seen.scan.notes, *filter(None, [seen.masks.told() if seen.masks else ""])),
            narrated=reading.narrated,
            title=to_text(reading.title),
            vague_title=reading.title.vague,
            language=transcripts[0].language if transcripts else "",
            speech_seconds=seen.speech.seconds if seen.speech else 0.0,
            outcome=reading.outcome,
            decode_seconds=seen.seconds,
            asr_seconds=heard.seconds,
        )
        with on_disk(seen.task.staged.parent):
            write_staged(seen.task.staged, self._samples(seen, result))
        return replace(result, write_seconds=time.perf_counter() - began)

    def _transcripts(self, seen: Viewed, heard: _Heard) -> tuple[Transcript, ...]:
        duration = seen.scan.probe.duration_seconds
        given = tuple(read_transcript(path, duration) for path in seen.task.transcripts)
        return ((heard.transcript,) if heard.transcript else ()) + given

    def _samples(self, seen: Viewed, result: Result) -> Iterator[Sample]:
        story = Story(
            whole=_whole(seen, result),
            chapters=result.outcome.chapters,
            clips=result.outcome.clips,
            seconds=[seen.spool.seconds[place] for place in seen.places],
            places=seen.places,
        )
        return make_samples(story, seen.jpegs, self._config.shards)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one pass over the pictures gave."""

    scan: Scan
    verdicts: tuple[Verdict, ...]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class _Heard:
    transcript: Transcript | None
    seconds: float


def _whole(seen: Viewed, result: Result) -> Sample:
    task = seen.task
    return Sample(
        key=task.video_id,
        level=Level.VIDEO,
        video_id=task.video_id,
        narrated=result.narrated,
        start_seconds=0.0,
        end_seconds=seen.scan.probe.duration_seconds,
        text=result.title,
        frame_seconds=(),
        jpegs=(),
        license=task.metadata.license,
        source=task.file.relative,
        consent=task.metadata.consent,
        split=task.metadata.split,
        source_sha256=seen.sha256,
    )
