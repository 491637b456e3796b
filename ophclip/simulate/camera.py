"""The microscope between the eye and the file: shake, recentring, zoom, focus, brightness, vignette."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ophclip.simulate.eye import Floats, Pixels
from ophclip.simulate.look import SiteLook


@dataclass(frozen=True, slots=True)
class Moment:
    """The camera and the eye at one second; offsets in limbus radii."""

    camera: tuple[float, float]
    eye: tuple[float, float]
    rotation: float
    zoom: float
    blur_px: float
    brightness: float


class Camera:
    """Closed-form movement: the same second always gives the same picture."""

    def __init__(self, rng: np.random.Generator, site: SiteLook, width: int, height: int, duration: float) -> None:
        self._phases = rng.uniform(0, 2 * np.pi, 16)
        self._rates = rng.uniform(0.7, 1.3, 16)
        events = max(1, int(duration / 22))
        self._defocus = [(float(rng.uniform(0, duration)), float(rng.uniform(0.5, 1.1))) for _ in range(events)]
        self._glances = [(float(rng.uniform(0, duration)), *map(float, rng.normal(0, 0.09, 2))) for _ in range(events)]
        self._exposure = [(float(rng.uniform(0, duration)), float(rng.normal(0, 0.12))) for _ in range(events)]
        self._recentre = [(float(rng.uniform(0, duration)), *map(float, rng.normal(0, 0.06, 2))) for _ in range(events)]
        self._scale_px = height / 240
        self._veil = _vignette(site, width, height)

    def moment(self, seconds: float) -> Moment:
        wave = np.sin(self._phases + seconds * self._rates * np.array([0.5, 0.6, 3.1, 3.7, 0.9, 1.1, 7.0, 8.3] * 2))
        camera_x = 0.03 * wave[0] + 0.008 * wave[2] + 0.004 * wave[6]
        camera_y = 0.03 * wave[1] + 0.008 * wave[3] + 0.004 * wave[7]
        eye_x, eye_y = 0.018 * wave[8] + 0.006 * wave[10], 0.018 * wave[9] + 0.006 * wave[11]
        for start, x, y in self._recentre:
            moved = 1 / (1 + np.exp(-(seconds - start) * 3))
            camera_x, camera_y = camera_x + x * moved, camera_y + y * moved
        for start, x, y in self._glances:
            shift = np.exp(-(((seconds - start) / 0.9) ** 2))
            eye_x, eye_y = eye_x + x * shift, eye_y + y * shift
        blur = sum(size * np.exp(-(((seconds - start) / 0.8) ** 2)) for start, size in self._defocus)
        light = 1.0 + 0.02 * wave[4]
        light += sum(size * np.exp(-(((seconds - start) / 2.5) ** 2)) for start, size in self._exposure)
        return Moment(
            camera=(float(camera_x), float(camera_y)), eye=(float(eye_x), float(eye_y)),
            rotation=float(0.012 * wave[12]), zoom=float(1 + 0.012 * wave[13]),
            blur_px=float(blur * 1.9 * self._scale_px), brightness=float(light),
        )  # fmt: skip

    def expose(self, picture: Pixels, moment: Moment) -> Pixels:
        """Light, vignette and focus, on (h, w, RGB)."""
        lit = cv2.multiply(picture, self._veil, scale=moment.brightness / 255, dtype=cv2.CV_8U)
        if moment.blur_px > 0.35:
            lit = cv2.GaussianBlur(lit, (0, 0), moment.blur_px)
        return np.asarray(lit, np.uint8)


def _vignette(site: SiteLook, width: int, height: int) -> Pixels:
    """The lamp's cone: full in the middle, its colour the site's, fading toward the corners."""
    x = (np.arange(width, dtype=np.float32) - width / 2) / (height / 2)
    y = (np.arange(height, dtype=np.float32) - height / 2) / (height / 2)
    radius: Floats = np.asarray(np.hypot(*np.meshgrid(x, y)), np.float32)
    fall = np.clip((radius - site.vignette_start) / 1.1, 0, 1)
    share = 1 - site.vignette * fall * fall * (3 - 2 * fall)
    light = np.asarray(site.light, np.float32) * 240
    return np.asarray(np.clip(share[..., None] * light, 0, 255), np.uint8)
