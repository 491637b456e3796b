"""Progress that is always visible: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]
"""Called with (done, total, message) as often as the caller likes."""

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def shown(title: str) -> Iterator[Progress]:
    """Show the progress of one stage on standard error under `title`, with the time it took at the end."""
    began = time.perf_counter()
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        print(f"{title} ...", file=sys.stderr, flush=True)  # noqa: T201
        yield _lines(title, began)
    print(f"{title}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[message]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, message="")
        yield lambda done, total, message: bars.update(task, completed=done, total=total, message=message)


def _lines(title: str, began: float) -> Progress:
    last = began

    def report(done: int, total: int, message: str) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"{title}: {done}/{total} {message} ({now - began:.0f} s)", file=sys.stderr, flush=True)  # noqa: T201

    return report
