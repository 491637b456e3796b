"""The two small networks that SimSiam puts behind a clip's vector (Chen and He 2021, section 3).

They serve training alone: a bundle carries only the towers.
"""

from __future__ import annotations

from torch import Tensor, nn

from ophclip.losses.views import simsiam


class SimSiamHead(nn.Module):
    """Projector of three layers and predictor with a bottleneck of a quarter, batch norm as in the paper."""

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

    def forward(self, first_bd: Tensor, second_bd: Tensor) -> Tensor:
        """Loss between the vectors of two views of the same clips (at least two clips): a scalar in -1 .. 1."""
        projected_first, projected_second = self.projector(first_bd), self.projector(second_bd)
        predicted_first, predicted_second = self.predictor(projected_first), self.predictor(projected_second)
        return simsiam(predicted_first, predicted_second, projected_first, projected_second)
