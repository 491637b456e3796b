"""Vectors of all ranks together, with gradient: the only place where losses speak to other processes.

Ranks may bring different numbers of rows. The gradient that training wants is that of one process with the whole batch,
after data-parallel training has averaged the gradients of the parameters over ranks. Two kinds of loss give it: one
that every rank computes whole on gathered vectors, and one of which every rank computes its own rows and whose mean is
taken by `mean_over_ranks`. Either is the same number on every rank; the second takes a rank's share of the work and of
the memory. One process alone: everything here returns what it got.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ophclip.data.sampler import Share


def world_size() -> int:
    """Number of ranks, 1 outside distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own_share() -> Share:
    """Which of the ranks this process is."""
    return Share(rank=dist.get_rank() if world_size() > 1 else 0, ranks=world_size())


def gather_with_gradient(rows_nd: Tensor) -> Tensor:
    """Rows of all ranks in rank order [m, d]."""
    if world_size() == 1:
        return rows_nd
    gathered: Tensor = _Gather.apply(rows_nd)  # type: ignore[no-untyped-call]
    return gathered


def gather_constant(values_n: Tensor) -> Tensor:
    """Values of all ranks in rank order, without gradient; ranks may differ in the first dimension alone."""
    if world_size() == 1:
        return values_n.detach()
    return torch.cat(_parts(values_n.detach()))


def mean_of_all(values_n: Tensor) -> Tensor | None:
    """Mean of the numbers that the ranks bring, each any number of them; None where there are none."""
    gathered = gather_constant(values_n.float())
    return gathered.mean() if len(gathered) else None


def mean_by_name(scalars: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Means over ranks of scalars that every rank brings under the same names, without gradient."""
    if world_size() == 1:
        return dict(scalars)
    means_n = torch.stack([value.detach().to(device, torch.float32) for value in scalars.values()])
    dist.all_reduce(means_n)
    return dict(zip(scalars, means_n / world_size(), strict=True))


def gather_words(words: Sequence[str]) -> list[str]:
    """Words of all ranks in rank order."""
    if world_size() == 1:
        return list(words)
    of_each: list[list[str]] = [[] for _ in range(world_size())]
    dist.all_gather_object(of_each, list(words))
    return [word for of_one in of_each for word in of_one]


def wait_for_all() -> None:
    """Return once every rank has come here."""
    if world_size() > 1:
        dist.barrier()


def row_numbers(rows: int, device: torch.device) -> Tensor:
    """A number for each of this rank's `rows`, int64, that no other row of any rank has: its place in rank order."""
    numbers = torch.arange(rows, device=device)
    if world_size() == 1:
        return numbers
    return numbers + sum(_counts(numbers)[: dist.get_rank()])


def mean_over_ranks(sum_of_rows: Tensor, rows: Tensor) -> Tensor:
    """Mean over the rows of all ranks of a loss of which each rank computed its own rows; zero where there are none.

    Args:
        sum_of_rows: this rank's sum, a scalar with gradient.
        rows: how many rows it is over, a scalar.
    """
    if world_size() == 1:
        return sum_of_rows / rows.clamp(min=1)
    whole = torch.stack([sum_of_rows.detach(), rows.to(sum_of_rows)])
    dist.all_reduce(whole)
    whole_sum, whole_rows = whole[0], whole[1].clamp(min=1)
    share = sum_of_rows * (world_size() / whole_rows)
    return share + (whole_sum / whole_rows - share.detach())


def _counts(rows: Tensor) -> list[int]:
    counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    return [int(count) for count in counts]


def _parts(rows: Tensor) -> list[Tensor]:
    """Rows of each rank. Shorter ones travel padded, because a collective wants one shape."""
    counts = _counts(rows)
    if not any(counts):
        return [rows for _ in counts]
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return [part[:count] for part, count in zip(parts, counts, strict=True)]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows_nd: Tensor) -> Tensor:
        parts = _parts(rows_nd)
        before = [len(part) for part in parts[: dist.get_rank()]]
        ctx.mine = slice(sum(before), sum(before) + len(rows_nd))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed[ctx.mine]
