"""Random access to pictures by presentation second through PyAV, decord or torchcodec: same frames from each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.config import Reader
from ingest.media.container import (
    CLOCK_TOLERANCE_SECONDS,
    decoded,
    frame_seconds,
    opened,
    pin_threads,
    start_seconds,
    video_stream,
)
from ingest.media.geometry import Geometry, geometry_of, pixel_aspect, scaled_size, to_pixels
from ingest.records import Frames

_JUMP_SECONDS = 10.0
"""Where a format has no index, a gap longer than this is jumped over and a shorter one decoded through."""


def frames_at(
    path: Path, seconds: Sequence[float], *, short_side_px: int | None = None, reader: Reader = Reader.PYAV
) -> Frames:
    """For each second the nearest picture at or before it (the first picture for seconds before that).

    `seconds` may be in any order and repeat. Returns the pictures in that order as uint8 RGB [T, H, W, 3], the short
    side brought down to `short_side_px` if it is larger, with the true presentation second of each.
    Raises ValueError if the file cannot be read or the reader is not installed.
    """
    if not len(seconds):
        raise ValueError(f"{path}: frames_at was asked for no second at all: give at least one")
    require_reader(reader)
    read = _read_pyav if reader is Reader.PYAV or not _shown_as_stored(path) else _READERS[reader]
    return read(path, np.asarray(seconds, dtype=np.float64), short_side_px)


def _shown_as_stored(path: Path) -> bool:
    """Whether pixels are square and upright; libraries differ in what they do with others, so PyAV reads those."""
    with opened(path) as container:
        stream = video_stream(container, path)
        _second, frame = _Cursor(container, path).at_or_before(0.0)
        return geometry_of(frame, pixel_aspect(stream)) == Geometry()


def require_reader(reader: Reader) -> None:
    """Raise ValueError in one line if this machine does not have `reader`."""
    if reader not in installed_readers():
        raise ValueError(f"reader: {reader.value} is not installed: install it or choose reader=pyav")


def installed_readers() -> tuple[Reader, ...]:
    """The readers that this machine can use."""
    modules = {Reader.PYAV: "av", Reader.DECORD: "decord", Reader.TORCHCODEC: "torchcodec"}
    return tuple(reader for reader, module in modules.items() if importlib.util.find_spec(module))


def _read_pyav(path: Path, seconds: NDArray[np.float64], short_side_px: int | None) -> Frames:
    taken: dict[int, tuple[float, NDArray[np.uint8]]] = {}
    with opened(path) as container:
        cursor, aspect = _Cursor(container, path), pixel_aspect(video_stream(container, path))
        last: tuple[Any, tuple[float, NDArray[np.uint8]]] | None = None
        for place in np.argsort(seconds, kind="stable"):
            second, frame = cursor.at_or_before(float(seconds[place]))
            if last is None or last[0] is not frame:
                last = (frame, (second, to_pixels(frame, short_side_px, aspect)))
            taken[int(place)] = last[1]
    found = [taken[place] for place in range(len(seconds))]
    return _frames([second for second, _ in found], np.stack([pixels for _, pixels in found]))


class _Cursor:
    """Walks forward through a video, jumping by key frames where that saves decoding."""

    def __init__(self, container: Any, path: Path) -> None:
        self._container = container
        self._path = path
        self._stream = video_stream(container, path)
        self._start = start_seconds(container)
        pin_threads(self._stream, 1)
        self._current: tuple[float, Any] | None = None
        self._upcoming: tuple[float, Any] | None = None
        self._rewind(0.0)

    def at_or_before(self, second: float) -> tuple[float, Any]:
        """Seconds asked for must not decrease."""
        if self._worth_jumping(second):
            self._jump(second)
        while self._upcoming is not None and self._upcoming[0] <= second + CLOCK_TOLERANCE_SECONDS:
            self._current = self._upcoming
            self._upcoming = self._next()
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
            self._rewind(second - back)
            if back >= second or (self._upcoming is not None and self._upcoming[0] <= second):
                return
            back = max(1.0, 2.0 * back)

    def _rewind(self, second: float) -> None:
        if second > 0.0:
            self._container.seek(self._timestamp(second), stream=self._stream, backward=True, any_frame=False)
        elif self._current is not None:
            self._container.seek(self._timestamp(0.0), stream=self._stream, backward=True, any_frame=False)
        self._decoded = _pictures(self._container, self._stream)
        self._upcoming = self._next()

    def _next(self) -> tuple[float, Any] | None:
        for frame in self._decoded:
            second = frame_seconds(frame, self._start)
            if second is not None:
                return second, frame
        return None

    def _timestamp(self, second: float) -> int:
        return int((second + self._start) / self._stream.time_base)


def _pictures(container: Any, stream: Any) -> Iterator[Any]:
    try:
        for packet in container.demux(stream):
            yield from decoded(packet)[0]
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


_READERS: dict[Reader, Callable[[Path, NDArray[np.float64], int | None], Frames]] = {
    Reader.PYAV: _read_pyav,
    Reader.DECORD: _read_decord,
    Reader.TORCHCODEC: _read_torchcodec,
}
