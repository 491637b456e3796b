"""Towers of which every rank holds a part (FSDP): torch's `fully_shard`, and the way from whole tensors and back.

Both towers are sharded, block by block. What is small and stands beside them (temperature, pooling, heads, fusion)
every rank holds whole; its gradients are averaged here. A pass through a tower gathers its weights from all ranks, so
that all must make equally many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ophclip.models.dual_encoder import DualEncoder

_IN_TURN = (nn.ModuleList, nn.Sequential)


def shard_towers(model: DualEncoder, mesh: DeviceMesh) -> None:
    """Leave this rank its part of both towers; every rank must hold the same ones.

    Raises:
        ValueError: a tower has batch norms that learn statistics, which would be each rank's own.
    """
    for tower in (model.visual, model.text):
        if any(isinstance(module, _BatchNorm) and module.training for module in tower.modules()):
            raise ValueError(
                "trainer.strategy: fsdp cannot keep one set of statistics for the batch norms of a tower; "
                "set model.visual.frozen_batch_norm=true, or trainer.strategy=ddp"
            )
        for parameter in tower.parameters():
            # `fully_shard` takes no other layout, such as channels last.
            parameter.data = parameter.data.contiguous()
        for block in _blocks(tower):
            fully_shard(block, mesh=mesh)
        fully_shard(tower, mesh=mesh, reshard_after_forward=True)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Members of the outermost sequences in it that have weights."""
    for child in module.children():
        if isinstance(child, _IN_TURN):
            yield from (one for one in child if any(True for _ in one.parameters()))
        else:
            yield from _blocks(child)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients of parameters that are not sharded by their mean over ranks, as DDP would."""
    for parameter in parameters:
        if parameter.grad is not None and not isinstance(parameter, DTensor):
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


def whole(value: Any) -> Any:
    """Tensors, and what holds them, with every sharded one put together; all ranks must come here."""
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, Mapping):
        return {name: whole(one) for name, one in value.items()}
    return [whole(one) for one in value] if isinstance(value, list) else value


def parts(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """State of an optimiser, as one rank would hold it, cut to what this rank holds of its parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {**state, "state": {place: _cut(one, parameters[place]) for place, one in state["state"].items()}}


def _cut(moments: Mapping[str, Tensor], parameter: nn.Parameter) -> dict[str, Tensor]:
    if not isinstance(parameter, DTensor):
        return dict(moments)
    mesh, placements = parameter.device_mesh, parameter.placements
    return {
        name: value if value.ndim == 0 else distribute_tensor(value, mesh, placements, src_data_rank=None)
        for name, value in moments.items()
    }
