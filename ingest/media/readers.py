"""Random access to pictures by presentation second through PyAV, decord or torchcodec: same frames from each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.config import Reader
from ingest.config.sources import LimitsConfig
from ingest.media.clock import Clock
from ingest.media.container import (
    CLOCK_TOLERANCE_SECONDS,
    Packets,
    can_jump,
    decoded,
    opened,
    picture_step_seconds,
    pin_threads,
    start_seconds,
    video_stream,
)
from ingest.media.geometry import Canvas, Geometry, geometry_of, is_untold_709, pixel_aspect, scaled_size
from ingest.records import Frames

_JUMP_SECONDS = 10.0
"""Where a format has no index, a gap longer than this is jumped over and a shorter one decoded through."""

_COMMON_FORMATS = ("mov", "matroska")
"""Formats (as FFmpeg names them) in which all readers find the same pictures: decord does not in WMV."""


def frames_at(
    path: Path, seconds: Sequence[float], *, short_side_px: int | None = None, reader: Reader = Reader.PYAV
) -> Frames:
    """For each second the nearest picture at or before it (the first picture for seconds before that).

    `seconds` may be in any order and repeat. Returns the pictures in that order as uint8 RGB [T, H, W, 3], the short
    side brought down to `short_side_px` if it is larger, with the true presentation second of each.
    Raises ValueError if the file cannot be read or the reader is not installed.
    """
    return in_asked_order(path, seconds, partial(frame_blocks, short_side_px=short_side_px, reader=reader))


def in_asked_order(
    path: Path, seconds: Sequence[float], read: Callable[[Path, NDArray[np.float64], int], Iterator[Frames]]
) -> Frames:
    """Pictures of seconds in any order by way of `read`, which takes them in time's order."""
    if not len(seconds):
        raise ValueError(f"{path}: frames_at was asked for no second at all: give at least one")
    order = np.argsort(seconds, kind="stable")
    asked = np.asarray(seconds, dtype=np.float64)[order]
    (found,) = read(path, asked, len(asked))
    places = np.argsort(order)
    return Frames(seconds=found.seconds[places], pixels_thwc=found.pixels_thwc[places])


def frame_blocks(
    path: Path,
    seconds: Sequence[float] | NDArray[np.float64],
    block: int,
    *,
    short_side_px: int | None = None,
    reader: Reader = Reader.PYAV,
) -> Iterator[Frames]:
    """As `frames_at` for seconds that do not decrease, so many pictures at a time: PyAV opens the file once."""
    require_reader(reader)
    asked = np.asarray(seconds, dtype=np.float64)
    blocks = [asked[first : first + block] for first in range(0, len(asked), block)]
    if reader is Reader.PYAV or not _is_plain(path):
        yield from _read_pyav(path, blocks, short_side_px)
    else:
        yield from (_OTHERS[reader](path, one, short_side_px) for one in blocks)


def _is_plain(path: Path) -> bool:
    """Whether the libraries agree on a file; PyAV reads those on which they do not."""
    with opened(path) as container:
        stream = video_stream(container, path)
        _second, frame = _Cursor(container, path).at_or_before(0.0)
        as_stored = geometry_of(frame, pixel_aspect(stream)) == Geometry()
        odd = frame.interlaced_frame or is_untold_709(frame)
        return as_stored and not odd and container.format.name.startswith(_COMMON_FORMATS)


def require_reader(reader: Reader) -> None:
    """Raise ValueError in one line if this machine does not have `reader`."""
    if reader not in installed_readers():
        raise ValueError(f"reader: {reader.value} is not installed: install it or choose reader=pyav")


def installed_readers() -> tuple[Reader, ...]:
    """The readers that this machine can use."""
    modules = {Reader.PYAV: "av", Reader.DECORD: "decord", Reader.TORCHCODEC: "torchcodec"}
    return tuple(reader for reader, module in modules.items() if importlib.util.find_spec(module))


def _read_pyav(path: Path, blocks: Iterable[NDArray[np.float64]], short_side_px: int | None) -> Iterator[Frames]:
    with opened(path) as container:
        cursor = _Cursor(container, path)
        canvas = Canvas(pixel_aspect(video_stream(container, path)), short_side_px)
        _second, last = cursor.at_or_before(0.0)
        pixels = canvas.pixels(last)  # the first picture gives the size, whichever are asked for
        for block in blocks:
            taken: list[tuple[float, NDArray[np.uint8]]] = []
            for asked in block.tolist():
                second, frame = cursor.at_or_before(asked)
                if frame is not last:
                    last, pixels = frame, canvas.pixels(frame)
                taken.append((second, pixels))
            yield _frames([second for second, _ in taken], np.stack([one for _, one in taken]))


class _Cursor:
    """Walks forward through a video, jumping by key frames where that is safe and saves decoding."""

    def __init__(self, container: Any, path: Path) -> None:
        self._container = container
        self._path = path
        self._stream = video_stream(container, path)
        self._start = start_seconds(container)
        self._jumps = can_jump(container, self._stream)
        pin_threads(self._stream, 1)
        self._current: tuple[float, Any] | None = None
        self._decoded = self._pictures()
        self._upcoming = next(self._decoded, None)

    def at_or_before(self, second: float) -> tuple[float, Any]:
        """Seconds asked for must not decrease."""
        if self._jumps and self._worth_jumping(second):
            self._jump(second)
        while self._upcoming is not None and self._upcoming[0] <= second + CLOCK_TOLERANCE_SECONDS:
            self._current = self._upcoming
            self._upcoming = next(self._decoded, None)
        found = self._current or self._upcoming
        if found is None:
            raise ValueError(f"{self._path}: no picture decodes at {second:.3f} s: replace or remove this file")
        return found

    def _worth_jumping(self, second: float) -> bool:
        if self._upcoming is None or second <= self._upcoming[0]:
            return False
        entries = self._stream.index_entries
        if not len(entries):
            return second - self._upcoming[0] > _JUMP_SECONDS
        place = entries.search_timestamp(self._timestamp(second), backward=True)
        return bool(place >= 0 and entries[place].timestamp > self._timestamp(self._upcoming[0]))

    def _jump(self, second: float) -> None:
        # An index may be in decoding order, so that a jump can land just past the moment: then from further back.
        back = 0.0
        while True:
            self._seek(max(second - back, 0.0))
            if back >= second or (self._upcoming is not None and self._upcoming[0] <= second):
                return
            back = max(1.0, 2.0 * back)

    def _seek(self, second: float) -> None:
        try:
            self._container.seek(self._timestamp(second), stream=self._stream, backward=True, any_frame=False)
        except av.error.FFmpegError:
            self._jumps = False  # what cannot be searched is walked through from where it is
            return
        self._decoded = self._pictures()
        self._upcoming = next(self._decoded, None)

    def _timestamp(self, second: float) -> int:
        return int((second + self._start) / self._stream.time_base)

    def _pictures(self) -> Iterator[tuple[float, Any]]:
        clock, step_seconds = Clock(self._container, LimitsConfig()), picture_step_seconds(self._stream)
        try:
            for packet in Packets(self._container, self._stream):
                for frame in decoded(packet)[0]:
                    yield clock.second(self._stream, frame, step_seconds), frame
        except av.error.FFmpegError:
            return  # a file that is cut off ends here


def _read_decord(path: Path, seconds: NDArray[np.float64], short_side_px: int | None) -> Frames:
    import decord

    with opened(path) as container:
        stream = video_stream(container, path)
        width, height = scaled_size(stream.codec_context.width, stream.codec_context.height, short_side_px)
        first_second, _frame = _Cursor(container, path).at_or_before(0.0)
    try:
        video = decord.VideoReader(str(path), ctx=decord.cpu(0), width=width, height=height, num_threads=1)
        # decord counts from the first picture, in float32.
        coarse = video.get_frame_timestamp(np.arange(len(video)))[:, 0].astype(np.float32)
        clock = coarse.astype(np.float64) - float(coarse[0]) + first_second
        reached = clock - np.spacing(coarse) - CLOCK_TOLERANCE_SECONDS
        places = np.clip(np.searchsorted(reached, seconds, side="right") - 1, 0, None)
        return _frames(clock[places], video.get_batch(places.tolist()).asnumpy())
    except decord.DECORDError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{path}: decord cannot read it ({reason}): choose reader=pyav") from error


def _read_torchcodec(path: Path, seconds: NDArray[np.float64], short_side_px: int | None) -> Frames:
    from torchcodec.decoders import VideoDecoder

    with opened(path) as container:
        start = start_seconds(container)
    decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
    first, end = decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
    asked = np.clip(seconds + start + CLOCK_TOLERANCE_SECONDS, first, end - CLOCK_TOLERANCE_SECONDS)
    batch = decoder.get_frames_played_at(seconds=asked.tolist())
    pixels_thwc = batch.data.numpy()
    width, height = scaled_size(pixels_thwc.shape[2], pixels_thwc.shape[1], short_side_px)
    small = [cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA) for pixels in pixels_thwc]
    return _frames(batch.pts_seconds.numpy() - start, np.stack(small).astype(np.uint8))


def _frames(seconds: Sequence[float] | NDArray[np.float64], pixels_thwc: NDArray[np.uint8]) -> Frames:
    return Frames(seconds=np.asarray(seconds, dtype=np.float64), pixels_thwc=pixels_thwc)


_OTHERS: dict[Reader, Callable[[Path, NDArray[np.float64], int | None], Frames]] = {
    Reader.DECORD: _read_decord,
    Reader.TORCHCODEC: _read_torchcodec,
}
