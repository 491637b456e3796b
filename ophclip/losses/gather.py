"""Vectors of all ranks together, with gradient: the only place where losses speak to other processes.

A loss computed on gathered vectors is the same number on every rank. The backward pass sums what every rank's copy of
that loss sends to a rank's rows; with the averaging of gradients that data-parallel training does, the result is the
gradient that one process with the whole batch would have. One process alone: both functions return what they got.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def world_size() -> int:
    """Number of ranks, 1 outside distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_with_gradient(rows_nd: Tensor) -> Tensor:
    """Rows of all ranks in rank order [world * n, d]; every rank must bring the same n."""
    if world_size() == 1:
        return rows_nd
    gathered: Tensor = _Gather.apply(rows_nd)  # type: ignore[no-untyped-call]
    return gathered


def gather_constant(values_n: Tensor) -> Tensor:
    """Values of all ranks in rank order, without gradient; every rank must bring the same shape."""
    if world_size() == 1:
        return values_n.detach()
    return _all_rows(values_n.detach())


def _all_rows(rows: Tensor) -> Tensor:
    parts = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows_nd: Tensor) -> Tensor:
        ctx.rows = rows_nd.shape[0]
        return _all_rows(rows_nd)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].contiguous()
        dist.all_reduce(summed)
        first = dist.get_rank() * ctx.rows
        return summed[first : first + ctx.rows]
