"""Trains in processes that a test may end: `python training_runner.py`, a line of JSON options each on standard input.

Torch and Lightning are imported once; every run is a forked process in a session of its own and costs a fraction of a
second to start. Each is answered by two lines: its process, and when it ended its exit code, negative for a signal.
"""

from __future__ import annotations

import json
import os
import sys

import ophclip.training.fit  # noqa: F401  imported once, so that a forked process need not
from ophclip.train import main


def run(options: list[str]) -> int:
    """What `python -m ophclip.train OPTIONS` exits with."""
    sys.argv = ["ophclip.train", *options]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def serve() -> None:
    """Answer every line until there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setsid()
            os._exit(run(json.loads(line)))
        print(child, flush=True)  # noqa: T201
        _child, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
