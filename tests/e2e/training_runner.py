"""Trains in processes that a test may end: `python training_runner.py`, a job a line on standard input.

A job is JSON: `options`, and how many `ranks` train together, each told its place as the `launcher` would tell it:
`torchrun` or `srun`. Torch and Lightning are imported once; every process is forked, in a session of its own, and
starts in a fraction of a second. Each job is answered by two lines: its processes, and when they ended their exit
codes, negative for a signal. With a `notes` folder each rank leaves there the keys of its batches, its bank as it was
first filled and as it is at the end, and a checksum of its weights. A `harm` befalls one of the ranks.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

import ophclip.training.fit  # noqa: F401  imported once, so that a forked process need not
from ophclip.data.dataset import ShardDataset
from ophclip.train import main
from ophclip.training.alike import checksum
from ophclip.training.module import TrainingModule
from ophclip.training.silent import SilentVideos

_SRUN_PORTS = range(15_000, 25_000)
"""Lightning takes the last four digits of a job's number and adds the first of these."""


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
        told = of_torchrun if job["launcher"] == "torchrun" else of_srun
        os.environ.update({name: str(value) for name, value in told(rank, job["ranks"], port).items()})
    leave = noting() if "notes" in job else None
    if rank == job.get("harm", {}).get("rank"):
        harm(job["harm"])
    status = run(job["options"])
    if leave is not None:
        leave(Path(job["notes"]) / f"{rank}.pt")
    os._exit(status)


def of_torchrun(rank: int, ranks: int, port: int) -> dict[str, Any]:
    """What torchrun tells a process of one machine."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "GROUP_RANK": 0}
    return {**place, "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def of_srun(rank: int, ranks: int, port: int) -> dict[str, Any]:
    """What `srun` tells a task of a job on one machine that was asked for with `--ntasks-per-node`."""
    job = {"JOB_ID": port - _SRUN_PORTS.start, "JOB_NAME": "ophclip", "NODELIST": "127.0.0.1", "NNODES": 1}
    tasks = {"NTASKS": ranks, "NTASKS_PER_NODE": ranks, "STEP_NUM_TASKS": ranks, "STEP_NUM_NODES": 1}
    place = {"PROCID": rank, "LOCALID": rank, "NODEID": 0}
    return {f"SLURM_{name}": value for name, value in {**job, **tasks, **place}.items()}


def harm(told: dict[str, Any]) -> None:
    """From a step on this rank loads slowly; or after that step one of its weights changes a little."""
    load, end = ShardDataset.__getitem__, TrainingModule.on_train_batch_end

    def loading(dataset: ShardDataset, requests: Any) -> Any:
        if requests[0].step >= told["step"]:
            time.sleep(told["seconds"])
        return load(dataset, requests)

    def changing(module: TrainingModule, *args: Any) -> None:
        end(module, *args)
        if module.current == told["step"]:
            with torch.no_grad():
                next(iter(module.model.visual.parameters())).view(-1)[0] += 1e-6

    if told["what"] == "slow":
        ShardDataset.__getitem__ = loading  # type: ignore[method-assign]
    else:
        TrainingModule.on_train_batch_end = changing  # type: ignore[method-assign]


def noting() -> Callable[[Path], None]:
    """Let the run of this process be followed; what it trained on and what it knows is left by the returned call."""
    keys: list[tuple[str, ...]] = []
    filled: dict[str, torch.Tensor] = {}
    seen: list[TrainingModule] = []
    step, refresh = TrainingModule.training_step, SilentVideos.refresh

    def stepping(module: TrainingModule, batch: Any, batch_idx: int) -> dict[str, Any]:
        keys.append(batch.keys)
        seen[:] = [module]
        return step(module, batch, batch_idx)

    def refreshing(silent: SilentVideos, *args: Any) -> Any:
        agreement = refresh(silent, *args)
        if not filled:
            filled.update({name: value.clone() for name, value in silent.bank.state_dict().items()})
        return agreement

    def leave(path: Path) -> None:
        (module,) = seen
        bank, weights = module.silent.bank.state_dict(), checksum(module.held_whole())
        torch.save({"keys": keys, "filled": filled, "bank": bank, "weights": weights}, path)

    TrainingModule.training_step = stepping  # type: ignore[method-assign]
    SilentVideos.refresh = refreshing  # type: ignore[method-assign]
    return leave


def free_port(among: Iterable[int]) -> int:
    """The first of these ports, 0 for any, that nobody listens on."""
    for wanted in among:
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", wanted))
            port: int = free.getsockname()[1]
            return port
    raise RuntimeError("no free port")


def serve() -> None:
    """Answer every line until there are no more."""
    for line in sys.stdin:
        job = json.loads(line)
        port = free_port(_SRUN_PORTS if job["launcher"] == "srun" else (0,))
        children = [fork(job, rank, port) for rank in range(job["ranks"])]
        print(json.dumps(children), flush=True)  # noqa: T201
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
