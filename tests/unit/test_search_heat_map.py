"""Heat maps: the cell that answers is where the peak is, whatever the picture's shape and the tower."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ophclip.data.tokenizer import build_tokenizer
from ophclip.evaluation.pointing import Box, box_within, judged_place
from ophclip.model_options import ModelConfig, TextConfig, TowerKind, VisualConfig
from ophclip.models.bundle import Loaded
from ophclip.models.dual_encoder import build_model
from ophclip.models.preprocess import build_preprocess
from ophclip.models.spatial import spatial_features
from ophclip.search import heat_map as module
from ophclip.search.heat_map import HeatMap, distinctive, heat_map, overlay_jpeg
from ophclip.search.instruments import described_labels
from ophclip.search.queries import query_vector_of_text


@pytest.fixture(scope="module", params=[TowerKind.TIMM, TowerKind.OPEN_CLIP])
def loaded(request: pytest.FixtureRequest) -> Loaded:
    name = "resnet18" if request.param is TowerKind.TIMM else "tiny"
    config = ModelConfig(
        name="tiny",
        embed_dim=16,
        visual=VisualConfig(kind=request.param, name=name, image_size_px=64),
        text=TextConfig(name="tiny", context_length=16),
    )
    torch.manual_seed(0)
    model = build_model(config).eval()
    preprocess = build_preprocess(config.visual)
    return Loaded(
        model=model,
        preprocess=preprocess,
        tokenizer=build_tokenizer(config.text),
        config=config,
        weights_sha256=f"of {name}",
    )


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (90, 160), (150, 70), (64, 65), (40, 400)])
def test_the_peak_is_where_a_mark_is(loaded: Loaded, monkeypatch: pytest.MonkeyPatch, height: int, width: int) -> None:
    """A tower that sees red: its cells are the mean redness of their squares."""

    def red(_tower: object, frames_bchw: torch.Tensor) -> torch.Tensor:
        mean, std = loaded.preprocess.mean, loaded.preprocess.std
        seen = frames_bchw[:, 0] * std[0] + mean[0] - (frames_bchw[:, 1] * std[1] + mean[1])
        cells = torch.nn.functional.avg_pool2d(seen[:, None], 16)[:, 0]
        return cells[..., None] * torch.eye(16)[3]

    monkeypatch.setattr(module, "spatial_features", red)
    for share in (0.2, 0.5, 0.85):
        pixels = picture(height, width)
        x, y = int(share * width), int((1 - share) * height)
        radius = max(min(height, width) // 8, 3)
        cv2.circle(pixels, (x, y), radius, (255, 0, 0), -1)
        found = heat_map(loaded, pixels, np.eye(16)[3])
        assert found.values_hw.shape == (height, width)
        assert found.values_hw.dtype == np.float32
        assert (found.values_hw.min(), found.values_hw.max()) == (0.0, 1.0)
        assert np.hypot(found.peak_xy[0] - x, found.peak_xy[1] - y) <= 2 * radius
        column, row = (int(place) for place in found.peak_xy)
        assert found.values_hw[row, column] == 1.0


def test_a_heat_map_is_made_of_the_towers_cells(loaded: Loaded) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    query = np.random.default_rng(1).normal(size=16)
    found = heat_map(loaded, pixels, query)
    assert np.isfinite(found.values_hw).all()
    if loaded.config.visual.name == "tiny":
        cells = spatial_features(loaded.model.visual, loaded.preprocess([pixels]))[0] @ torch.from_numpy(
            distinctive(loaded, query)
        )
        whole = cv2.resize(cells.numpy(), (64, 64), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(found.values_hw, (whole - whole.min()) / np.ptp(whole), atol=1e-4)


def test_what_instruments_share_is_left_out_of_a_query(loaded: Loaded) -> None:
    vectors = np.stack([query_vector_of_text(loaded, label) for label in described_labels()])
    left = np.stack([distinctive(loaded, vector) for vector in vectors])
    np.testing.assert_allclose(left @ vectors.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(distinctive(loaded, left[0]), left[0], atol=1e-6)


def test_a_map_without_a_difference_is_finite_and_drawn() -> None:
    flat = HeatMap(values_hw=np.zeros((30, 50), dtype=np.float32), peak_xy=(0.5, 0.5))
    jpeg = overlay_jpeg(picture(30, 50), flat)
    drawn = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.shape == (30, 50, 3)


def test_odd_pictures_and_queries_are_told(loaded: Loaded) -> None:
    odd: list[tuple[Any, NDArray[np.float64], str]] = [
        (picture(64, 64)[..., 0], np.ones(16), "expected a picture of uint8"),
        (picture(64, 64).astype(np.float32), np.ones(16), "found float32"),
        (picture(8, 64), np.ones(16), "at least 16 pixels"),
        (picture(64, 64), np.ones(15), "expected 16 finite numbers"),
        (picture(64, 64), np.full(16, np.nan), "expected 16 finite numbers"),
    ]
    for pixels, query, message in odd:
        with pytest.raises(ValueError, match=message):
            heat_map(loaded, pixels, query)


def test_places_are_judged_by_the_box_of_the_nearest_second() -> None:
    boxes = [Box(seconds=second, x0_px=second, y0_px=10, x1_px=second + 10, y1_px=30) for second in (3.0, 5.0, 9.0)]
    assert box_within(boxes, 4.0, 10.0, 8.0) == boxes[2]
    assert box_within(boxes, 3.0, 5.0, 3.9) == boxes[0]
    assert box_within(boxes, 6.0, 8.0, 7.0) is None
    judged = judged_place(boxes[0], 13.0, 30.0, 40, 20)
    assert (judged.right, judged.centre) == (True, False)
    assert judged.chance == pytest.approx(10 * 20 / (40 * 20))
    assert not judged_place(boxes[0], 13.1, 30.0, 40, 20).right
