"""Memory of the contrast in blocks against the whole table of logits: `python -m benchmarks.loss_memory`.

What forward and backward pass of InfoNCE take beside vectors and gradients already there, for 1,024, 2,048 and 4,096
pairs of width 512: the most that torch had allocated at a time. Asserted inside: both losses and all their gradients
are equal.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

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
    """Most memory that torch holds for the loss and its gradients at a time."""
    given = vectors(rows, device)
    loss(*given).backward()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss(*given).backward()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        loss(*given).backward()
    events = profiled.profiler.kineto_results.events()
    changes = sorted((one.start_ns(), one.nbytes()) for one in events if one.name() == "[memory]")
    return max(accumulate(change for _, change in changes))


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
    """All sizes, then the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    device = parser.parse_args().device
    for rows in ROWS:
        see_that_they_agree(rows, device)
    blocks, table = ([peak_bytes(loss, rows, device) for rows in ROWS] for loss in (in_blocks, whole))
    growth = ROWS[-1] / ROWS[0]
    tell("loss, memory in blocks, four times the pairs over once", [blocks[-1] / blocks[0]], most=1.1 * growth)
    tell("loss, memory of the whole table, four times the pairs over once", [table[-1] / table[0]])
    for rows, ours, theirs in zip(ROWS, blocks, table, strict=True):
        tell(f"loss, megabytes in blocks, {rows} pairs", [ours / 1e6])
        tell(f"loss, whole table's memory over that in blocks, {rows} pairs", [theirs / ours])


if __name__ == "__main__":
    main()
