"""Trains in processes that a test may end: `python training_runner.py`, a job a line on standard input.

A job is JSON: `options`, and how many `ranks` train together, each told its place as torchrun would tell it. Torch and
Lightning are imported once; every process is forked, in a session of its own, and starts in a fraction of a second.
Each job is answered by two lines: its processes, and when they ended their exit codes, negative for a signal. With a
`notes` folder each rank leaves there the keys of its batches and its bank.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import torch

import ophclip.training.fit  # noqa: F401  imported once, so that a forked process need not
from ophclip.train import main
from ophclip.training.module import TrainingModule


def run(options: list[str]) -> int:
    """What `python -m ophclip.train OPTIONS` exits with."""
    sys.argv = ["ophclip.train", *options]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def fork(job: dict[str, Any], rank: int, port: int) -> int:
    """Start one rank; its process."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.dup2(2, 1)
    if job["ranks"] > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": job["ranks"], "LOCAL_WORLD_SIZE": job["ranks"]}
        address = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GROUP_RANK": 0}
        os.environ.update({name: str(value) for name, value in {**place, **address}.items()})
    if "notes" in job:
        note(Path(job["notes"]) / f"{rank}.pt")
    os._exit(run(job["options"]))


def note(path: Path) -> None:
    """Let the run of this process leave at its end what it trained on and what it knows."""
    keys: list[tuple[str, ...]] = []
    step = TrainingModule.training_step

    def noting(module: TrainingModule, batch: Any, batch_idx: int) -> dict[str, Any]:
        keys.append(batch.keys)
        return step(module, batch, batch_idx)

    def at_the_end(module: TrainingModule) -> None:
        torch.save({"keys": keys, "bank": module.silent.bank.state_dict()}, path)

    TrainingModule.training_step = noting  # type: ignore[method-assign]
    TrainingModule.on_train_end = at_the_end  # type: ignore[method-assign]


def serve() -> None:
    """Answer every line until there are no more."""
    for line in sys.stdin:
        job = json.loads(line)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = [fork(job, rank, port) for rank in range(job["ranks"])]
        print(json.dumps(children), flush=True)  # noqa: T201
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
