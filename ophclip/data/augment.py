"""Augmentation of training pictures, batched on the device: one crop, flip, colour change and blur per clip.

Geometry is one `grid_sample`, colour one 3 x 3 matrix and an offset per clip (brightness, contrast, saturation, hue and
grey are all linear). The frames of a clip share their draw, so that motion stays motion.

Shapes: B clips, T frames, H x W stored pixels, S the side of the tower's picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ophclip.config import AugmentConfig
from ophclip.data.sampler import Part
from ophclip.model_options import VisualConfig

_LUMA = (0.299, 0.587, 0.114)
_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
_ASPECT_MAX = 4.0 / 3.0
_BLUR_SIGMA_PX = (0.1, 2.0)
_BLUR_REFERENCE_PX = 224


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """uint8 pictures to normalised float pictures, at random; equal generators give equal pictures."""

    config: AugmentConfig
    visual: VisualConfig

    def __call__(self, frames_btchw: Tensor, generator: torch.Generator, part: Part | None = None) -> Tensor:
        """uint8 RGB [B, T, 3, H, W] on any device -> float32 [B, T, 3, S, S], normalised; `generator` is the CPU's.

        With `part` these clips are a stretch of more, and get what they would get among all of them.
        """
        batch, times = frames_btchw.shape[:2]
        device = frames_btchw.device
        drawn, mine = (batch, slice(None)) if part is None else (part.total, part.rows)
        affine_b23 = draw_geometry(self.config, drawn, generator)[mine]
        colour_b33, offset_b = (one[mine] for one in draw_colour(self.config, drawn, generator))
        sigma_b = draw_blur(self.config, drawn, generator, self.visual.image_size_px)
        frames_nchw = _resample(frames_btchw, affine_b23.to(device), self.visual.image_size_px)
        frames_btchw = frames_nchw.view(batch, times, *frames_nchw.shape[1:])
        frames_btchw = _recolour(frames_btchw, colour_b33.to(device), offset_b.to(device))
        return self._normalised(_blur(frames_btchw, sigma_b[mine], math.ceil(2.0 * float(sigma_b.max()))))

    def _normalised(self, frames_btchw: Tensor) -> Tensor:
        mean_c11 = torch.tensor(tuple(self.visual.mean), device=frames_btchw.device).view(3, 1, 1)
        std_c11 = torch.tensor(tuple(self.visual.std), device=frames_btchw.device).view(3, 1, 1)
        return frames_btchw.sub_(mean_c11).div_(std_c11)


def draw_geometry(config: AugmentConfig, batch: int, generator: torch.Generator) -> Tensor:
    """Crops of random area, aspect and place, flipped at random: matrices [B, 2, 3] for `affine_grid`."""
    area_b = torch.empty(batch).uniform_(config.crop_scale_min, 1.0, generator=generator)
    # A crop of nearly the whole area has to be nearly square, or it would leave the picture.
    log_aspect_max_b = area_b.log().neg().clamp(max=math.log(_ASPECT_MAX))
    aspect_b = (torch.empty(batch).uniform_(-1.0, 1.0, generator=generator) * log_aspect_max_b).exp()
    width_b, height_b = (area_b * aspect_b).sqrt(), (area_b / aspect_b).sqrt()
    place_b2 = torch.empty(batch, 2).uniform_(-1.0, 1.0, generator=generator)
    flipped_b = torch.rand(batch, generator=generator) < config.flip_probability
    affine_b23 = torch.zeros(batch, 2, 3)
    affine_b23[:, 0, 0] = torch.where(flipped_b, -width_b, width_b)
    affine_b23[:, 0, 2] = place_b2[:, 0] * (1.0 - width_b)
    affine_b23[:, 1, 1] = height_b
    affine_b23[:, 1, 2] = place_b2[:, 1] * (1.0 - height_b)
    return affine_b23


def draw_colour(config: AugmentConfig, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Colour changes as matrices [B, 3, 3] and weights [B] of the clip's mean grey that is added to every channel."""
    strength = config.colour_jitter
    factor_b3 = torch.empty(batch, 3).uniform_(max(0.0, 1.0 - strength), 1.0 + strength, generator=generator)
    angle_b = torch.empty(batch).uniform_(-strength / 4, strength / 4, generator=generator) * (2 * math.pi)
    jittered_b = torch.rand(batch, generator=generator) < config.colour_probability
    grey_b = torch.rand(batch, generator=generator) < config.grey_probability
    factor_b3 = torch.where(jittered_b[:, None], factor_b3, torch.ones(()))
    angle_b = torch.where(jittered_b, angle_b, torch.zeros(()))
    brightness_b, contrast_b, saturation_b = factor_b3.unbind(1)
    saturation_b = torch.where(grey_b, torch.zeros(()), saturation_b)
    to_grey_33 = torch.tensor(_LUMA).expand(3, 3)
    saturate_b33 = saturation_b.view(-1, 1, 1) * torch.eye(3) + (1.0 - saturation_b).view(-1, 1, 1) * to_grey_33
    colour_b33 = (brightness_b * contrast_b).view(-1, 1, 1) * (saturate_b33 @ _hue_rotation(angle_b))
    return colour_b33, brightness_b * (1.0 - contrast_b)


def draw_blur(config: AugmentConfig, batch: int, generator: torch.Generator, side_px: int) -> Tensor:
    """Standard deviations [B] of the blur in pixels of the tower's picture; 0 leaves a clip sharp."""
    low, high = _BLUR_SIGMA_PX
    sigma_b = torch.empty(batch).uniform_(low, high, generator=generator) * (side_px / _BLUR_REFERENCE_PX)
    blurred_b = torch.rand(batch, generator=generator) < config.blur_probability
    return torch.where(blurred_b, sigma_b, torch.zeros(()))


def _hue_rotation(angle_b: Tensor) -> Tensor:
    yiq_33 = torch.tensor(_YIQ)
    turn_b33 = torch.eye(3).repeat(len(angle_b), 1, 1)
    turn_b33[:, 1, 1] = turn_b33[:, 2, 2] = angle_b.cos()
    turn_b33[:, 1, 2], turn_b33[:, 2, 1] = -angle_b.sin(), angle_b.sin()
    turned_b33: Tensor = torch.linalg.inv(yiq_33) @ turn_b33 @ yiq_33
    return turned_b33


def _resample(frames_btchw: Tensor, affine_b23: Tensor, side_px: int) -> Tensor:
    times = frames_btchw.shape[1]
    grid_bssx = F.affine_grid(affine_b23, [len(affine_b23), 3, side_px, side_px], align_corners=False)
    frames_nchw = frames_btchw.flatten(0, 1).float().div_(255.0)
    grid_nssx = grid_bssx.repeat_interleave(times, dim=0)
    return F.grid_sample(frames_nchw, grid_nssx, mode="bilinear", padding_mode="border", align_corners=False)


def _recolour(frames_btchw: Tensor, colour_b33: Tensor, offset_b: Tensor) -> Tensor:
    luma_c = torch.tensor(_LUMA, device=frames_btchw.device)
    grey_b = frames_btchw.mean(dim=(1, 3, 4)) @ luma_c
    turned_btchw = torch.einsum("bdc,btchw->btdhw", colour_b33, frames_btchw)
    return turned_btchw.add_((offset_b * grey_b).view(-1, 1, 1, 1, 1)).clamp_(0.0, 1.0)


def _blur(frames_btchw: Tensor, sigma_b: Tensor, radius: int) -> Tensor:
    chosen = sigma_b.nonzero().flatten()
    if len(chosen) == 0:
        return frames_btchw
    offsets_k = torch.arange(-radius, radius + 1, dtype=torch.float32)
    weights_bk = torch.exp(-0.5 * (offsets_k / sigma_b[chosen, None]) ** 2)
    weights_bk = (weights_bk / weights_bk.sum(dim=1, keepdim=True)).to(frames_btchw.device)
    chosen = chosen.to(frames_btchw.device)
    picked_btchw = frames_btchw[chosen]
    picture_tnhw = picked_btchw.transpose(0, 1).flatten(1, 2)
    kernel_nk = weights_bk.repeat_interleave(3, dim=0)
    padded = F.pad(picture_tnhw, (radius, radius, radius, radius), mode="replicate")
    across = F.conv2d(padded, kernel_nk[:, None, None, :], groups=len(kernel_nk))
    both = F.conv2d(across, kernel_nk[:, None, :, None], groups=len(kernel_nk))
    frames_btchw[chosen] = both.view(both.shape[0], len(chosen), 3, *both.shape[2:]).transpose(0, 1)
    return frames_btchw
