"""Augmentation: reproducible, one draw per clip, and the identity when everything is switched off."""

from __future__ import annotations

import torch

from ophclip.config import AugmentConfig
from ophclip.data.augment import Augment, draw_colour, draw_geometry
from ophclip.model_options import VisualConfig

VISUAL = VisualConfig(name="any", image_size_px=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
OFF = AugmentConfig(
    crop_scale_min=1.0, colour_probability=0.0, grey_probability=0.0, blur_probability=0.0, flip_probability=0.0
)


def only(**changes: float) -> AugmentConfig:
    values = {"crop_scale_min": 1.0, "colour_probability": 0.0, "grey_probability": 0.0, "blur_probability": 0.0}
    return AugmentConfig(**{**values, "flip_probability": 0.0, **changes})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames(batch: int = 5, times: int = 3, side_px: int = 37) -> torch.Tensor:
    return torch.randint(0, 256, (batch, times, 3, side_px, side_px), dtype=torch.uint8, generator=generator(9))


def test_equal_generators_give_equal_pictures() -> None:
    augment = Augment(config=AugmentConfig(), visual=VISUAL)
    one, again = augment(frames(), generator(1)), augment(frames(), generator(1))
    assert one.shape == (5, 3, 3, 32, 32)
    assert torch.equal(one, again)
    assert not torch.equal(one, augment(frames(), generator(2)))
    assert one.min() >= 0
    assert one.max() <= 1


def test_frames_of_a_clip_share_their_draw_and_clips_do_not() -> None:
    still = frames(1, 1).expand(6, 4, -1, -1, -1)
    out = Augment(config=AugmentConfig(), visual=VISUAL)(still, generator())
    # The contrast of a clip turns about the mean of all its frames, equal here.
    torch.testing.assert_close(out, out[:, :1].expand_as(out))
    assert len({round(float(clip.sum()), 2) for clip in out}) == 6


def test_switched_off_it_only_normalises() -> None:
    pictures = frames(side_px=32)
    out = Augment(config=OFF, visual=VISUAL)(pictures, generator())
    torch.testing.assert_close(out, pictures.float() / 255, atol=1e-4, rtol=0)


def test_crops_have_an_area_within_bounds_and_stay_inside() -> None:
    affine_b23 = draw_geometry(AugmentConfig(crop_scale_min=0.3), 500, generator())
    width_b, height_b = affine_b23[:, 0, 0].abs(), affine_b23[:, 1, 1]
    area_b = width_b * height_b
    assert 0.3 - 1e-5 <= area_b.min() < 0.35
    assert 0.95 < area_b.max() <= 1.0 + 1e-5
    assert (affine_b23[:, 0, 2].abs() + width_b).max() <= 1 + 1e-5
    assert (affine_b23[:, 1, 2].abs() + height_b).max() <= 1 + 1e-5
    assert 200 < (affine_b23[:, 0, 0] < 0).sum() < 300


def test_flip_mirrors() -> None:
    lit = torch.zeros(8, 1, 3, 32, 32, dtype=torch.uint8)
    lit[..., :16] = 255
    out = Augment(config=only(flip_probability=1.0), visual=VISUAL)(lit, generator())
    assert (out[..., 24:].mean(dim=(1, 2, 3, 4)) > out[..., :8].mean(dim=(1, 2, 3, 4))).all()


def test_grey_has_equal_channels_and_the_usual_luma() -> None:
    coloured = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 1, 3, 1, 1).expand(2, 2, 3, 32, 32)
    out = Augment(config=only(grey_probability=1.0), visual=VISUAL)(coloured, generator())
    expected = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    torch.testing.assert_close(out, torch.full_like(out, expected), atol=1e-5, rtol=0)


def test_hue_turns_keep_luma() -> None:
    colour_b33, _ = draw_colour(AugmentConfig(colour_jitter=0.4, colour_probability=1.0), 64, generator())
    assert torch.isfinite(colour_b33).all()
    white = colour_b33.sum(dim=2)
    # A white pixel has no hue and no saturation: brightness and contrast scale all its channels alike.
    torch.testing.assert_close(white, white[:, :1].expand(-1, 3), atol=1e-4, rtol=1e-4)


def test_blur_keeps_the_mean_and_takes_detail() -> None:
    noise = frames(4, 2)
    sharp = Augment(config=OFF, visual=VISUAL)(noise, generator(3))
    blurred = Augment(config=only(blur_probability=1.0), visual=VISUAL)(noise, generator(3))
    assert (blurred.std(dim=(1, 2, 3, 4)) <= sharp.std(dim=(1, 2, 3, 4)) + 1e-6).all()
    torch.testing.assert_close(blurred.mean(), sharp.mean(), atol=5e-3, rtol=0)
