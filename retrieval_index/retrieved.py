"""What a bank gives back.

Legend of shapes: m silent videos, q queries, k neighbours, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Key = Literal["title", "visual", "mean"]
"""What of a silent video queries are compared with: its title, its pictures, or both."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """Silent videos nearest to each query, best first; k is less than asked where the bank is smaller."""

    ids: tuple[tuple[str, ...], ...]
    scores_qk: NDArray[np.float32]
    """Cosines with the key: with titles, with pictures, or the mean of both."""
    visual_qkd: NDArray[np.float16]
    """Visual vectors of what was retrieved, of length one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BankVectors:
    """Rows of the bank [m, d]: what queries are compared with, and the two vectors of each video, of length one."""

    key_md: NDArray[np.float32]
    title_md: NDArray[np.float16]
    visual_md: NDArray[np.float16]
