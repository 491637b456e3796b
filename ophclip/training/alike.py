"""Whether all ranks hold the same weights, as they must after every step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from ophclip.losses.gather import gather_words


class UnlikeRanksError(ValueError):
    """Ranks went apart: a fault of a machine, or of ours."""


def see_that_ranks_are_alike(tensors: Iterable[Tensor], step: int) -> None:
    """Compare a checksum of `tensors` with those of all other ranks, which must come here too.

    Args:
        tensors: weights and whatever else all ranks hold whole; what is sharded is passed over.
        step: how many steps were done, for what is told.

    Raises:
        UnlikeRanksError: on all ranks alike; one line that names those that differ from the first.
    """
    first, *others = gather_words([checksum(tensors)])
    unlike = [str(rank) for rank, other in enumerate(others, start=1) if other != first]
    if unlike:
        raise UnlikeRanksError(
            f"after step {step} rank {', '.join(unlike)} held other weights than rank 0; the last checkpoint is whole: "
            "run the same command again, and if it comes back look at the memory and the libraries of that rank's "
            "machine"
        )


def checksum(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of the bytes of all tensors in their order; one that is sharded is passed over."""
    sha256 = hashlib.sha256()
    for tensor in tensors:
        if not isinstance(tensor, DTensor):
            sha256.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()
