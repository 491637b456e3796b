"""What travels between a shift and its workers, whatever the work is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ingest.disk import SICK_DISK, cannot_write
from ingest.entries import Outcome, Stage, VideoRow
from ingest.pool import HaltError, Tell

_SECONDS_BETWEEN_NOTES = 5.0


class Named(Protocol):
    """What became of a video."""

    @property
    def video_id(self) -> str:
        """Its id in the manifest."""
        ...


class Piece(Named, Protocol):
    """What is to be done with a video."""

    @property
    def size_bytes(self) -> int:
        """By which long ones are done first."""
        ...


P = TypeVar("P", bound=Piece)
R = TypeVar("R", bound=Named)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch(Generic[P]):
    """Videos that are done together."""

    number: int
    tasks: tuple[P, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A note of a worker: which videos it is at, and what it does with them."""

    video_ids: tuple[str, ...]
    stage: Stage


@dataclass(frozen=True, slots=True)
class Told(Generic[P]):
    """A task, the checksum of what came beside the video, and what is wrong with that."""

    task: P
    checksum: str = ""
    complaint: str = ""


class Trade(Protocol[P, R]):
    """The work of a shift: it travels to the workers by pickle."""

    @property
    def name(self) -> str:
        """As jobs are called."""
        ...

    @property
    def recipe(self) -> str:
        """Checksum of the options that what is made depends on."""
        ...

    @property
    def threads(self) -> int:
        """CPUs of one worker."""
        ...

    def build(self) -> Callable[[Batch[P], Tell], Sequence[R]]:
        """Load what the work needs, once in every worker. Raises ValueError in one line if it cannot be loaded."""
        ...

    def entry(self, row: VideoRow, told: Told[P], result: R) -> tuple[VideoRow, Outcome | None]:
        """What is entered of a video that was done; `row` has its attempt counted."""
        ...


class Beat:
    """Tells now and then that the work still moves."""

    def __init__(self, tell: Tell, moment: Moment) -> None:
        self._tell = tell
        self._moment = moment
        self._told_at = time.monotonic()
        tell(moment)

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._told_at > _SECONDS_BETWEEN_NOTES:
            self._told_at = now
            self._tell(self._moment)


@contextmanager
def on_disk(folder: Path) -> Iterator[None]:
    """A disk that cannot be written would fail every video: it ends the run instead, by `HaltError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in SICK_DISK:
            raise
        raise HaltError(cannot_write(folder, error)) from error
