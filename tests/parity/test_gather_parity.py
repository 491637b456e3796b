"""Two ranks over gloo, with unequal shares of a batch, give the loss and the gradient of one process with all of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

from ophclip.losses.contrastive import info_nce, same_group
from ophclip.losses.gather import gather_constant, gather_with_gradient, mean_over_ranks, row_numbers
from ophclip.losses.knowledge import bank_retrieval, fuse_retrieval
from ophclip.losses.minimal_pairs import Counterparts
from ophclip.losses.pairs import Groups, info_nce_of_pairs, siglip_of_pairs
from ophclip.losses.retrieval import drawn_table, live_retrieval
from ophclip.losses.views import simclr

EACH = (slice(0, 5), slice(5, 8))
"""Which rows of the batch a rank holds."""
SILENT = (slice(0, 1), slice(1, 4))
"""Which of the silent videos that were drawn a rank has loaded."""


class _Parameters(nn.Module):
    """A linear tower, and the two numbers that make a logit of a cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Linear(6, 4, bias=False, dtype=torch.float64)
        self.scale = nn.Parameter(torch.tensor(7.0, dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor(-2.0, dtype=torch.float64))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (*(self.tower(one) for one in inputs), self.scale + 0.0, self.bias + 0.0)


def _model_and_batch() -> tuple[_Parameters, dict[str, Tensor]]:
    chance = torch.Generator().manual_seed(0)
    model = _Parameters()
    with torch.no_grad():
        model.tower.weight.copy_(torch.randn(4, 6, generator=chance, dtype=torch.float64))
    visual, text, counter = torch.randn(3, 8, 6, generator=chance, dtype=torch.float64)
    batch = {
        "visual": visual,
        "text": text,
        "counter": counter,
        "video": torch.tensor([0, 0, 1, 1, 0, 2, 3, 1]),
        "words": torch.tensor([0, 1, 2, 1, 3, 4, 2, 5]),
        "contradicted": torch.tensor([1, 0, 0, 1, 1, 0, 1, 1]).bool(),
        "scores": torch.rand(8, 5, generator=chance, dtype=torch.float64),
        "drawn": torch.tensor([9, -1, -1, 9, -1, 11, 12, 9]),
    }
    return model, batch


_BANK = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
_SILENT = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
_SILENT_NUMBER = torch.tensor([9, 9, 11, 12])


def _global_info_nce(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    visual, text, scale, bias = model(batch["visual"], batch["text"])
    videos = gather_constant(batch["video"])
    loss = info_nce(gather_with_gradient(visual), gather_with_gradient(text), scale, None, same_group(videos))
    return loss + 0.0 * bias


def _counterparts(counter: Tensor, batch: dict[str, Tensor]) -> Counterparts:
    rows = batch["contradicted"].nonzero().flatten()
    return Counterparts(counter[rows], rows, 1.5)


def _info_nce_of_pairs(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    visual, text, counter, scale, _ = model(batch["visual"], batch["text"], batch["counter"])
    groups = Groups(batch["words"], batch["video"])
    return info_nce_of_pairs(visual, text, scale, groups, counterparts=_counterparts(counter, batch), rows_of_a_block=2)


def _siglip_of_pairs(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    visual, text, counter, scale, bias = model(batch["visual"], batch["text"], batch["counter"])
    groups = Groups(row_numbers(len(visual), visual.device), batch["video"])
    return siglip_of_pairs(visual, text, scale, bias, groups, counterparts=_counterparts(counter, batch))


def _simclr(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    first, second, scale, _ = model(batch["visual"], batch["text"])
    return simclr(first, second, scale, batch["video"]) + simclr(first, second, scale)


def _live(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    title, shown, said, scale, bias = model(batch["text"], *(one[silent] for one in _SILENT))
    shown, said, title = (gather_with_gradient(one) for one in (shown, said, title))
    number_u = gather_constant(_SILENT_NUMBER[silent])
    drawn_ub = drawn_table(number_u, gather_constant(batch["drawn"]), gather_constant(batch["words"]))
    parts = live_retrieval(shown, title, drawn_ub, scale, own_title_ud=said, own_title_group_u=number_u)
    others = live_retrieval(shown, title, drawn_ub, scale, bias=bias, own_title_ud=said)
    return parts.narrated_title + parts.own_title + others.narrated_title + others.own_title


def _bank(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    visual, scale, _ = model(batch["visual"])
    return bank_retrieval(visual, _BANK, batch["scores"], scale, min_score=0.8)


def _fuse(model: nn.Module, batch: dict[str, Tensor], silent: slice) -> Tensor:
    visual, text, scale, bias = model(batch["visual"], batch["text"])
    visual, text, hit = gather_with_gradient(visual), gather_with_gradient(text), gather_constant(batch["contradicted"])
    words = gather_constant(batch["words"])
    plain = fuse_retrieval(visual, text, scale, hit, title_group_b=words)
    return plain + fuse_retrieval(visual, text, scale, hit, bias=bias, title_group_b=words)


LOSSES: dict[str, Callable[[nn.Module, dict[str, Tensor], slice], Tensor]] = {
    "InfoNCE as a table": _global_info_nce,
    "InfoNCE of pairs": _info_nce_of_pairs,
    "SigLIP of pairs": _siglip_of_pairs,
    "SimCLR": _simclr,
    "live": _live,
    "bank": _bank,
    "fuse": _fuse,
}


def _gradients(model: _Parameters, batch: dict[str, Tensor], silent: slice) -> dict[str, Tensor]:
    """Loss and gradient of each, averaged over ranks as data-parallel training does."""
    found = {}
    for name, loss_of in LOSSES.items():
        loss = loss_of(model, batch, silent)
        gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
        flat = torch.cat([one.flatten() for one in gradients])
        if dist.is_initialized():
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
        found[name] = torch.cat([loss.detach().view(1), flat])
    return found


def _through_data_parallel(model: _Parameters, batch: dict[str, Tensor], silent: slice) -> dict[str, Tensor]:
    """The same of one loss of either kind, with the averaging left to torch."""
    parallel, found = nn.parallel.DistributedDataParallel(model), {}
    for name in ("InfoNCE as a table", "SigLIP of pairs"):
        model.zero_grad()
        loss = LOSSES[name](parallel, batch, silent)
        loss.backward()
        found[name] = torch.cat([loss.detach().view(1), *(one.grad.flatten() for one in model.parameters())])
    return found


def _one_rank(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model, batch = _model_and_batch()
    mine = {name: values[EACH[rank]] for name, values in batch.items()}
    assert row_numbers(EACH[rank].stop - EACH[rank].start, torch.device("cpu")).tolist() == [*range(8)][EACH[rank]]
    nobody = gather_with_gradient(torch.zeros(rank, 2, requires_grad=True))
    assert nobody.shape == (1, 2)
    found = _gradients(model, mine, SILENT[rank])
    torch.save((found, _through_data_parallel(model, mine, SILENT[rank])), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_one_process_is_the_identity() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(rows) is rows
    assert gather_constant(rows).equal(rows)
    assert row_numbers(3, rows.device).tolist() == [0, 1, 2]
    assert float(mean_over_ranks(rows.sum(), torch.tensor(0)).detach()) == float(rows.sum().detach())


@pytest.mark.slow
def test_two_ranks_are_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_one_rank, (port, str(tmp_path)), nprocs=2)
    model, batch = _model_and_batch()
    whole = _gradients(model, batch, slice(0, 4))
    for rank in range(2):
        saved, by_torch = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert saved.keys() == LOSSES.keys()
        for name, found in (*saved.items(), *by_torch.items()):
            assert float(whole[name][1:].abs().max()) > 0
            torch.testing.assert_close(found, whole[name], rtol=1e-10, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
