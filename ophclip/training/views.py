"""The small networks that SimSiam and SimCLR put behind a clip's vector.

They serve training alone: a bundle carries only the towers. Every rank runs them over the clips of all ranks, because
their batch norms must see the whole batch; that costs little beside the towers.
"""

from __future__ import annotations

from torch import Tensor, nn

from ophclip.losses.gather import gather_with_gradient, own_share
from ophclip.losses.views import simclr, simsiam
from ophclip.objectives import LossConfig, SelfSupervision

SIMCLR_TEMPERATURE = 0.1


class SimSiamHead(nn.Module):
    """Projector of three layers and predictor with a bottleneck of a quarter, batch norm as in the paper.

    Chen and He 2021, section 3.
    """

    def __init__(self, dim: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or 2 * dim
        self.projector = nn.Sequential(
            nn.Linear(dim, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden, bias=False),
            nn.BatchNorm1d(hidden, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(hidden, hidden // 4, bias=False),
            nn.BatchNorm1d(hidden // 4),
            nn.ReLU(),
            nn.Linear(hidden // 4, hidden),
        )

    def forward(self, first_bd: Tensor, second_bd: Tensor, _ignored_group_b: Tensor | None = None) -> Tensor:
        """Loss between the vectors of two views of the same clips (at least two clips): a scalar in -1 .. 1.

        SimSiam knows no negatives, so there are none to ignore.
        """
        first_bd, second_bd = gather_with_gradient(first_bd), gather_with_gradient(second_bd)
        projected_first, projected_second = self.projector(first_bd), self.projector(second_bd)
        predicted_first, predicted_second = self.predictor(projected_first), self.predictor(projected_second)
        return simsiam(predicted_first, predicted_second, projected_first, projected_second)


class SimClrHead(nn.Module):
    """Projector of two layers (Chen et al. 2020, section 4.2) with batch norm between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(dim, 2 * dim, bias=False), nn.BatchNorm1d(2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, first_bd: Tensor, second_bd: Tensor, ignored_group_b: Tensor | None = None) -> Tensor:
        """NT-Xent between two views of the same clips; clips of equal number are not each other's negatives."""
        first, second = (self.projector(gather_with_gradient(one_bd)) for one_bd in (first_bd, second_bd))
        mine = own_share().part(len(first)).rows
        return simclr(first[mine], second[mine], 1 / SIMCLR_TEMPERATURE, ignored_group_b)


def build_head(config: LossConfig, dim: int) -> nn.Module | None:
    """The head of the configured loss between views; None where it is left out."""
    if config.self_supervision is SelfSupervision.NONE or config.self_supervision_weight == 0:
        return None
    return SimSiamHead(dim) if config.self_supervision is SelfSupervision.SIMSIAM else SimClrHead(dim)
