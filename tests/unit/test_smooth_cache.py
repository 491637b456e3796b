"""Vectors that are kept are those of the same model and file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ophclip.cli.arguments import Cache
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.runs import default_cache


@dataclass(kw_only=True)
class _Counting:
    """Encodes every frame as its own number."""

    name: str = "a"
    weights_sha256: str = "w" * 64
    frame_side_px: int | None = 32
    frames: int = 0

    def embed_frames(self, frames: Iterable[np.ndarray], batch: int = 64) -> np.ndarray:
        assert batch == 64
        count = len(list(frames))
        self.frames += count
        return np.ones((count, 4), dtype=np.float32)


@pytest.mark.parametrize(
    ("change", "again"),
    [({}, False), ({"name": "a-quickgelu"}, True), ({"frame_side_px": 64}, True), ({"weights_sha256": "x" * 64}, True)],
)
def test_only_the_same_model_finds_what_was_kept(
    tmp_path: Path, real_data: Path, change: dict[str, object], again: bool
) -> None:
    video = real_data / "video" / "narrated_cataract.mp4"
    first, second = _Counting(), _Counting(**change)
    one = EmbeddingStore(model=first, fps=0.2, folder=tmp_path).video(video)
    other = EmbeddingStore(model=second, fps=0.2, folder=tmp_path).video(video)
    assert first.frames == len(one.seconds_t) == 8
    assert second.frames == (8 if again else 0)
    np.testing.assert_array_equal(one.vectors_td, other.vectors_td)
    half = _Counting()
    EmbeddingStore(model=half, fps=0.1, folder=tmp_path).video(video)
    assert half.frames == 4


def test_the_place_is_the_users_cache_and_the_help_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "ophclip" / "embeddings"
    (option,) = (part for part in Cache.__metadata__ if hasattr(part, "help"))
    # 512 numbers of four bytes, 3,600 times
    assert f"about {512 * 4 * 3600 / 1e6:.0f} MB per hour" in option.help
