"""Decoding a stranger's file in a process of its own, with limits on what it may take and no way to write.

`probe`, `picture_seconds`, `frames_at` and `frame_blocks` are those of `ingest.media.probe` and `ingest.media.readers`:
same arguments, same pictures, same errors. A process is started the first time (a second), serves one call at a time
and is kept for the next; one that crashes or stands still costs the file that it was at. JSON and raw pictures come
back over a socket, never a pickle, so that what takes a decoder over gains nothing by it here. Where bubblewrap works,
the process has no network and a read-only disk.

The workers of `ophclip ingest` are processes of their own already: `memory_bounded` is what they need besides.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.config import Reader
from ingest.config.sources import LimitsConfig
from ingest.media.container import too_much
from ingest.media.probe import picture_seconds as picture_seconds_here
from ingest.media.probe import probe as probe_here
from ingest.media.readers import frame_blocks as frame_blocks_here
from ingest.media.readers import in_asked_order, require_reader
from ingest.records import Frames, Probe

_STALL_SECONDS = 900.0
"""A process that has sent nothing for so long while it was asked for something is ended."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from ingest.media.confine import serve; serve(int(sys.argv[1]))"
_BUBBLEWRAP = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-net", "--unshare-ipc", "--cap-drop", "ALL")
_LENGTH = struct.Struct("<Q")
_LONGEST_ANSWER_BYTES = 1 << 26
"""Of those that are no pictures: the seconds of all pictures of twelve hours."""


def probe(path: Path) -> Probe:
    """As `ingest.media.probe.probe`."""
    with _decoder(path) as decoder:
        decoder.ask(call="probe")
        return Probe(**decoder.answer()["probe"])


def picture_seconds(path: Path) -> NDArray[np.float64]:
    """As `ingest.media.probe.picture_seconds`."""
    with _decoder(path) as decoder:
        decoder.ask(call="seconds")
        return np.asarray(decoder.answer()["seconds"], dtype=np.float64)


def frames_at(
    path: Path, seconds: Sequence[float], *, short_side_px: int | None = None, reader: Reader = Reader.PYAV
) -> Frames:
    """As `ingest.media.readers.frames_at`."""
    return in_asked_order(path, seconds, partial(frame_blocks, short_side_px=short_side_px, reader=reader))


def frame_blocks(
    path: Path,
    seconds: Sequence[float] | NDArray[np.float64],
    block: int,
    *,
    short_side_px: int | None = None,
    reader: Reader = Reader.PYAV,
) -> Iterator[Frames]:
    """As `ingest.media.readers.frame_blocks`; the next block is decoded while the caller is busy with one."""
    require_reader(reader)
    asked = np.asarray(seconds, dtype=np.float64).tolist()
    with _decoder(path) as decoder:
        decoder.ask(call="frames", seconds=asked, block=block, short_side_px=short_side_px, reader=reader.value)
        while "shape" in (answer := decoder.answer()):
            yield decoder.frames(answer, block)


@contextmanager
def memory_bounded(limits: LimitsConfig) -> Iterator[None]:
    """Let this process take `limits.max_memory_gb` more than it has; what asks for more is a ValueError.

    A decoder that is refused memory may also report a fault of its own, or take the process down.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    _bound_memory(limits)
    try:
        yield
    except MemoryError as error:
        raise ValueError(too_much("max_memory_gb", "it needs more memory", limits)) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _bound_memory(limits: LimitsConfig) -> None:
    """Unlike the address space, this counts what is written to: not what a library of CUDA only reserves."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return  # only Linux counts it
    held_kb = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData:"))
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held_kb * 1024 + int(limits.max_memory_gb * 1e9)
    allowed = min([wanted, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


class _Decoder:
    """A confined process as its user sees it. It serves one call at a time."""

    def __init__(self) -> None:
        self._socket, far = socket.socketpair()
        self._socket.settimeout(_STALL_SECONDS)
        with far:
            program = _PROGRAM.format(path=sys.path)
            command = [*_sandbox(), sys.executable, "-c", program, str(far.fileno())]
            # In a session of its own no Ctrl-C reaches it, and it can be ended together with bubblewrap.
            self._process = subprocess.Popen(
                command, pass_fds=[far.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        self.path = Path()
        self.free = False
        """Whether it waits for a question."""
        try:
            self.answer()
        except ValueError as error:
            self.close()
            raise RuntimeError("the process that decodes videos does not start: it has said why above") from error

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, **question: object) -> None:
        self.free = False
        with suppress(ConnectionError):  # `answer` finds out why
            told = {"folder": str(Path.cwd()), "path": str(self.path), **question}
            _send(self._socket, json.dumps(told).encode())

    def answer(self) -> dict[str, Any]:
        """The next answer. Raises ValueError in one line if the file cannot be read, or took the process down."""
        answer: dict[str, Any] = json.loads(self._receive(_LONGEST_ANSWER_BYTES).tobytes())
        self.free = "shape" not in answer
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def frames(self, answer: dict[str, Any], most: int) -> Frames:
        """The pictures that follow an answer."""
        count, height, width, _channels = shape = answer["shape"]
        if count > most or height * width > LimitsConfig().max_pixels:
            raise ValueError(f"{self.path}: decoding gave pictures of the shape {shape}: replace or remove this file")
        pixels_thwc = self._receive(math.prod(shape)).reshape(shape)
        return Frames(seconds=np.asarray(answer["seconds"], dtype=np.float64), pixels_thwc=pixels_thwc)

    def _receive(self, most: int) -> NDArray[np.uint8]:
        try:
            return _receive(self._socket, most)
        except TimeoutError:
            why = f"stood still for {_STALL_SECONDS:.0f} s"
        except (EOFError, ConnectionError):
            code = self._process.wait()
            why = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        raise ValueError(f"{self.path}: the process that decodes it {why}: replace or remove this file")

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


_waiting: dict[int, list[_Decoder]] = {}
"""Processes without work, by the process that started them: one that was forked must not use its parent's."""


@contextmanager
def _decoder(path: Path) -> Iterator[_Decoder]:
    own = _waiting.setdefault(os.getpid(), [])
    try:
        decoder = own.pop()
    except IndexError:
        decoder = _Decoder()
    if not decoder.alive:
        decoder.close()
        decoder = _Decoder()
    decoder.path = path
    try:
        yield decoder
    finally:
        if decoder.free:
            own.append(decoder)
        else:
            decoder.close()


@atexit.register
def _close_all() -> None:
    for decoder in _waiting.pop(os.getpid(), []):
        decoder.close()


@cache
def _sandbox() -> tuple[str, ...]:
    """Bubblewrap, where it is installed and the kernel lets it work."""
    try:
        done = subprocess.run([*_BUBBLEWRAP, "true"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return _BUBBLEWRAP if done.returncode == 0 else ()


def serve(descriptor: int) -> None:
    """The life of a confined process: one answer after another until the other end hangs up."""
    limits = LimitsConfig()
    _bound_memory(limits)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))
    with socket.socket(fileno=descriptor) as far, suppress(EOFError, ConnectionError):
        _tell(far, ready=True)
        while True:
            question = json.loads(_receive(far, sys.maxsize).tobytes())
            try:
                _serve(far, question)
            except MemoryError:
                told = too_much("max_memory_gb", "it needs more memory", limits)
                _tell(far, error=f"{question['path']}: {told}")
            except ValueError as error:
                _tell(far, error=str(error))
            except Exception as error:  # noqa: BLE001 whatever it is, it is this file's and not the caller's
                told = " ".join(str(error).split())
                _tell(far, error=f"{question['path']}: decoding broke on it: {type(error).__name__}: {told}")


def _serve(far: socket.socket, question: dict[str, Any]) -> None:
    os.chdir(question["folder"])
    path = Path(question["path"])
    if question["call"] == "probe":
        _tell(far, probe=asdict(probe_here(path)))
        return
    if question["call"] == "seconds":
        _tell(far, seconds=picture_seconds_here(path).tolist())
        return
    side_px, reader = question["short_side_px"], Reader(question["reader"])
    blocks = frame_blocks_here(path, question["seconds"], question["block"], short_side_px=side_px, reader=reader)
    for frames in blocks:
        _tell(far, shape=frames.pixels_thwc.shape, seconds=frames.seconds.tolist())
        _send(far, np.ascontiguousarray(frames.pixels_thwc).reshape(-1).data)
    _tell(far, done=True)


def _tell(far: socket.socket, **answer: object) -> None:
    _send(far, json.dumps(answer).encode())


def _send(to: socket.socket, data: bytes | memoryview) -> None:
    to.sendall(_LENGTH.pack(len(data)))
    to.sendall(data)


def _receive(end: socket.socket, most: int) -> NDArray[np.uint8]:
    """One message as bytes. Raises EOFError where the other end has hung up, or speaks of more than `most`."""
    (length,) = _LENGTH.unpack(_filled(end, np.empty(_LENGTH.size, dtype=np.uint8)).tobytes())
    if length > most:
        raise EOFError
    return _filled(end, np.empty(length, dtype=np.uint8))


def _filled(end: socket.socket, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    view = buffer.data
    while len(view):
        taken = end.recv_into(view)
        if not taken:
            raise EOFError
        view = view[taken:]
    return buffer
