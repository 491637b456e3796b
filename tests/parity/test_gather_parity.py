"""Two ranks over gloo give the loss and the gradient of one process that holds the whole batch."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing, nn

from ophclip.losses.contrastive import info_nce, same_group
from ophclip.losses.gather import gather_constant, gather_with_gradient


def _model_and_batch() -> tuple[nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    model = nn.Linear(6, 4, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.randn(4, 6, generator=chance, dtype=torch.float64))
    visual, text = torch.randn(2, 8, 6, generator=chance, dtype=torch.float64)
    return model, visual, text, torch.tensor([0, 0, 1, 1, 0, 2, 3, 1])


def _loss(model: nn.Module, visual: torch.Tensor, text: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
    videos = gather_constant(videos)
    return info_nce(
        gather_with_gradient(model(visual)), gather_with_gradient(model(text)), 7.0, None, same_group(videos)
    )


def _one_rank(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model, visual, text, videos = _model_and_batch()
    mine = slice(rank * 4, rank * 4 + 4)
    parallel = nn.parallel.DistributedDataParallel(model)
    loss = _loss(parallel, visual[mine], text[mine], videos[mine])
    loss.backward()
    torch.save({"loss": loss.detach(), "gradient": model.weight.grad}, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_one_process_is_the_identity() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(rows) is rows
    assert gather_constant(rows).equal(rows)


@pytest.mark.slow
def test_two_ranks_are_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_one_rank, (port, str(tmp_path)), nprocs=2)
    model, visual, text, videos = _model_and_batch()
    loss = _loss(model, visual, text, videos)
    loss.backward()
    for rank in range(2):
        saved = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(saved["loss"], loss.detach())
        torch.testing.assert_close(saved["gradient"], model.weight.grad)
