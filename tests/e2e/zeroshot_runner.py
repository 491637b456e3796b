"""`ophclip zeroshot` that dies while it encodes video N: `python zeroshot_runner.py N WORDS...`.

Everything is real but that the process kills itself, uncaught and unannounced, when frames of that video are decoded.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from ophclip.cli import main
from ophclip.evaluation import embedding


def die_within(video: int) -> None:
    """Kill this process when the frames of the n-th video are to be encoded."""
    decoded, seen = embedding.frame_blocks, 0

    def counted(*given: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        for frames in decoded(*given, **options):
            if seen == video:
                os.kill(os.getpid(), signal.SIGKILL)
            yield frames

    embedding.frame_blocks = counted


if __name__ == "__main__":
    die_within(int(sys.argv[1]))
    sys.argv[1:2] = []
    main()
