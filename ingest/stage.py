"""What is done with one video in a worker process: decode, hear, clean, cut, title, and stage its samples."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest.config import IngestConfig, ShardsConfig
from ingest.media import Scan, scan
from ingest.records import Clip, Level, Metadata, Probe, Rejection, Sample, Transcript
from ingest.shards import encode_jpeg, sha256_of, write_staged
from ingest.speech.transcribe import Transcriber, build_transcriber, transcribe
from ingest.text.clean import Cleaned, clean, is_narrated
from ingest.text.clips import make_clips
from ingest.text.segment import sentences
from ingest.text.titles import StructuredTitle, structure, to_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One video to be done."""

    video_id: str
    path: Path
    source_relative: str
    metadata: Metadata
    staged: Path
    """Where its samples are put."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one video. Without a probe it could not be used, and the notes say why."""

    probe: Probe | None
    sha256: str
    notes: tuple[str, ...]
    narrated: bool = False
    title: str = ""
    vague_title: bool = True
    clips: tuple[Clip, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    transcript: Transcript | None = None
    decode_seconds: float = 0.0
    asr_seconds: float = 0.0
    write_seconds: float = 0.0


class VideoStage:
    """Holds what is loaded once per process."""

    def __init__(self, config: IngestConfig) -> None:
        """Raises ValueError in one line if the recogniser cannot be loaded."""
        self._config = config
        self._transcriber: Transcriber = build_transcriber(config.asr)

    def __call__(self, task: Task) -> Result:
        """Do one video and stage its samples. A video that cannot be used is a result, not an error."""
        checksum = sha256_of(task.path)
        with Spool(task.staged.parent, self._config.shards.jpeg_quality) as spool:
            began = time.perf_counter()
            try:
                scanned = self._scan(task.path, spool)
            except ValueError as error:
                return Result(probe=None, sha256=checksum, notes=(str(error).removeprefix(f"{task.path}: "),))
            decoded = time.perf_counter()
            heard = self._hear(task.video_id, scanned)
            listened = time.perf_counter()
            title = structure(task.metadata)
            result = self._result(scanned, heard, title, checksum)
            write_staged(task.staged, self._samples(task, result, spool))
        return replace(
            result,
            decode_seconds=decoded - began,
            asr_seconds=listened - decoded,
            write_seconds=time.perf_counter() - listened,
        )

    def _scan(self, path: Path, spool: Spool) -> Scan:
        shards = self._config.shards
        return scan(path, spool.add, fps=shards.fps, short_side_px=shards.short_side_px, reader=self._config.reader)

    def _hear(self, video_id: str, scanned: Scan) -> _Speech:
        if scanned.audio is None:
            return _Speech(transcript=None, cleaned=Cleaned(accepted=(), rejected=()), clips=(), narrated=False)
        config, duration = self._config, scanned.probe.duration_seconds
        transcript = transcribe(scanned.audio, self._transcriber, config.asr, config.vad)
        cleaned = clean(sentences(transcript.segments, config.segment), config.gates, config.asr.terms)
        narrated = is_narrated(cleaned.accepted, duration, config.gates)
        clips = make_clips(video_id, cleaned.accepted, duration, config.segment) if narrated else ()
        return _Speech(transcript=transcript, cleaned=cleaned, clips=clips, narrated=narrated and bool(clips))

    def _result(self, scanned: Scan, heard: _Speech, title: StructuredTitle, checksum: str) -> Result:
        return Result(
            probe=scanned.probe,
            sha256=checksum,
            notes=scanned.notes,
            narrated=heard.narrated,
            title=to_text(title),
            vague_title=title.vague,
            clips=heard.clips,
            rejections=heard.refusals(),
            transcript=heard.transcript,
        )

    def _samples(self, task: Task, result: Result, spool: Spool) -> Iterator[Sample]:
        shards = self._config.shards
        for clip in result.clips:
            frames = clip_frames(spool.seconds, clip, shards)
            yield _sample(task, result, clip, Level.CLIP, spool.pick(frames))
        duration = result.probe.duration_seconds if result.probe else 0.0
        whole = Clip(video_id=task.video_id, index=0, start_seconds=0.0, end_seconds=duration, narration=result.title)
        frames = uniform_frames(spool.seconds, 0.0, duration, shards.video_frames)
        yield _sample(task, result, whole, Level.VIDEO, spool.pick(frames))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Speech:
    transcript: Transcript | None
    cleaned: Cleaned
    clips: tuple[Clip, ...]
    narrated: bool

    def refusals(self) -> tuple[Rejection, ...]:
        """What was heard and not used, text of a video that counts as silent among it."""
        if self.narrated:
            return self.cleaned.rejected
        stray = [
            Rejection(
                start_seconds=one.start_seconds,
                end_seconds=one.end_seconds,
                text=one.text,
                reason="silent video: too little speech",
            )
            for one in self.cleaned.accepted
        ]
        return tuple(sorted((*self.cleaned.rejected, *stray), key=lambda one: one.start_seconds))


def _sample(task: Task, result: Result, span: Clip, level: Level, pictures: Sequence[tuple[float, bytes]]) -> Sample:
    start_ms = round(1000 * span.start_seconds)
    return Sample(
        key=f"{task.video_id}-{start_ms:08d}" if level is Level.CLIP else task.video_id,
        level=level,
        video_id=task.video_id,
        narrated=result.narrated,
        start_seconds=span.start_seconds,
        end_seconds=span.end_seconds,
        text=span.narration,
        frame_seconds=tuple(second for second, _jpeg in pictures),
        jpegs=tuple(jpeg for _second, jpeg in pictures),
        license=task.metadata.license,
        source=task.source_relative,
    )


def clip_frames(seconds: Sequence[float], clip: Clip, shards: ShardsConfig) -> list[int]:
    """Places of a clip's frames among the sampled `seconds`: about `shards.fps`, at most `shards.clip_frames`."""
    wanted = round((clip.end_seconds - clip.start_seconds) * shards.fps)
    return uniform_frames(seconds, clip.start_seconds, clip.end_seconds, min(max(wanted, 1), shards.clip_frames))


def uniform_frames(seconds: Sequence[float], start: float, end: float, count: int) -> list[int]:
    """Places of up to `count` frames nearest to the middles of equal parts of a span, each once, in order."""
    clock = np.asarray(seconds)
    middles = start + (np.arange(count) + 0.5) * (end - start) / count
    after = np.clip(np.searchsorted(clock, middles), 1, max(len(clock) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(clock) - 1)
    nearest = np.where(middles - clock[before] <= clock[after] - middles, before, after)
    return [int(place) for place in np.unique(nearest)]


class Spool:
    """Sampled pictures of one video as JPEGs in a file without a name, so that a long video is never held in memory."""

    def __init__(self, folder: Path, quality: int) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 closed by __exit__
        self._quality = quality
        self._places: list[tuple[int, int]] = []
        self.seconds: list[float] = []

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def add(self, second: float, pixels_hwc: NDArray[np.uint8]) -> None:
        """Append the picture of a second; seconds must increase."""
        data = encode_jpeg(pixels_hwc, self._quality)
        self._places.append((self._file.seek(0, 2), len(data)))
        self._file.write(data)
        self.seconds.append(second)

    def pick(self, places: Iterable[int]) -> list[tuple[float, bytes]]:
        """Seconds and pictures at these places, as they were encoded."""
        return [(self.seconds[place], self._read(*self._places[place])) for place in places]

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
