"""Memory of the contrast in blocks against the whole table of logits: `python -m benchmarks.loss_memory`.

What forward and backward pass of InfoNCE take beside vectors and gradients already there, for 1,024, 2,048 and 4,096
pairs of width 512: on the CPU the highest resident memory of a process of its own, with `--device cuda` what torch
allocated. Asserted inside: both losses and all their gradients are equal.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.pairs import tell
from ophclip.losses.contrastive import info_nce
from ophclip.losses.pairs import Groups, info_nce_of_pairs

ROWS = (1024, 2048, 4096)
WIDTH, SCALE = 512, 14.0
Loss = Callable[[Tensor, Tensor], Tensor]


def in_blocks(visual_nd: Tensor, text_nd: Tensor) -> Tensor:
    return info_nce_of_pairs(visual_nd, text_nd, SCALE, Groups(torch.arange(len(text_nd), device=text_nd.device)))


def whole(visual_nd: Tensor, text_nd: Tensor) -> Tensor:
    return info_nce(visual_nd, text_nd, SCALE)


def vectors(rows: int, device: str) -> list[Tensor]:
    """Random vectors of pictures and texts, with room for their gradients."""
    chance = torch.Generator().manual_seed(rows)
    made = [torch.randn(rows, WIDTH, generator=chance).to(device).requires_grad_() for _ in range(2)]
    for one in made:
        one.grad = torch.zeros_like(one)
    return made


def peak_bytes(loss: Loss, rows: int, device: str) -> int:
    """Most memory that the loss and its gradients take at a time."""
    loss(*vectors(32, device)).backward()
    given = vectors(rows, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss(*given).backward()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    before = resident_bytes("VmRSS")
    loss(*given).backward()
    return resident_bytes("VmHWM") - before


def resident_bytes(name: str) -> int:
    """Memory of this process by its name in `/proc`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def see_that_they_agree(rows: int, device: str) -> None:
    """Losses and gradients, the gradients against the largest of them."""
    results = []
    for loss in (in_blocks, whole):
        given = vectors(rows, device)
        value = loss(*given)
        value.backward()
        results.append((value.detach(), *(one.grad for one in given)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def main() -> None:
    """Each measurement in a process of its own, then the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    device = parser.parse_args().device
    jobs = [(loss, rows, device) for loss in (in_blocks, whole) for rows in ROWS]
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        peaks = pool.starmap(peak_bytes, jobs, chunksize=1)
    for rows in ROWS:
        see_that_they_agree(rows, device)
    blocks, table = peaks[: len(ROWS)], peaks[len(ROWS) :]
    growth = ROWS[-1] / ROWS[0]
    tell("loss, memory in blocks, four times the pairs over once", [blocks[-1] / blocks[0]], most=1.1 * growth)
    tell("loss, memory of the whole table, four times the pairs over once", [table[-1] / table[0]])
    for rows, ours, theirs in zip(ROWS, blocks, table, strict=True):
        tell(f"loss, megabytes in blocks, {rows} pairs", [ours / 1e6])
        tell(f"loss, whole table's memory over that in blocks, {rows} pairs", [theirs / ours])


if __name__ == "__main__":
    main()
