"""Agreement of two augmented views of a clip (SimSiam, Chen and He 2021, eq. 1 and 2).

Legend of shapes: n clips, d width.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def simsiam(
    predicted_first_nd: Tensor, predicted_second_nd: Tensor, projected_first_nd: Tensor, projected_second_nd: Tensor
) -> Tensor:
    """Negative cosine between each view's prediction and the other view's projection, which gets no gradient.

    Returns:
        A scalar in -1 (views agree) .. 1.
    """
    first = F.cosine_similarity(predicted_first_nd, projected_second_nd.detach(), dim=-1).mean()
    second = F.cosine_similarity(predicted_second_nd, projected_first_nd.detach(), dim=-1).mean()
    return -(first + second) / 2
