"""What differs between eyes and between sites: light, zoom, colours. Lengths are in limbus radii (about 5.8 mm)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ophclip.simulate.config import Site
from ophclip.simulate.draw import pick, weighted
from ophclip.simulate.language import Finding, Instrument, Procedure, Program

Colour = tuple[int, int, int]
"""RGB, 0..255."""

IRIS_COLOURS: tuple[tuple[Colour, float], ...] = (
    ((108, 76, 46), 0.4),
    ((128, 104, 68), 0.25),
    ((120, 138, 140), 0.2),
    ((110, 118, 96), 0.12),
)

HUBS_A: dict[Instrument, Colour] = {
    Instrument.VISCOELASTIC_CANNULA: (206, 214, 226),
    Instrument.CYSTOTOME: (232, 138, 40),
    Instrument.HYDRODISSECTION_CANNULA: (226, 206, 60),
    Instrument.PHACO_HANDPIECE: (92, 132, 214),
    Instrument.CHOPPER: (204, 172, 88),
    Instrument.IRRIGATION_ASPIRATION: (208, 104, 150),
    Instrument.LENS_INJECTOR: (70, 178, 206),
    Instrument.SINSKEY_HOOK: (150, 154, 160),
    Instrument.RYCROFT_CANNULA: (92, 176, 98),
    Instrument.KERATOME: (236, 236, 228),
    Instrument.SIDE_PORT_KNIFE: (64, 112, 190),
    Instrument.CRESCENT_KNIFE: (230, 226, 120),
    Instrument.CAUTERY: (72, 92, 190),
}

HUBS_B: dict[Instrument, Colour] = {
    **HUBS_A,
    Instrument.VISCOELASTIC_CANNULA: (214, 220, 224),
    Instrument.CYSTOTOME: (226, 110, 70),
    Instrument.HYDRODISSECTION_CANNULA: (240, 186, 70),
    Instrument.PHACO_HANDPIECE: (84, 164, 170),
    Instrument.CHOPPER: (104, 112, 190),
    Instrument.IRRIGATION_ASPIRATION: (170, 92, 190),
    Instrument.LENS_INJECTOR: (110, 150, 226),
    Instrument.SINSKEY_HOOK: (120, 124, 196),
    Instrument.RYCROFT_CANNULA: (64, 186, 150),
    Instrument.KERATOME: (96, 190, 220),
    Instrument.SIDE_PORT_KNIFE: (150, 200, 90),
    Instrument.CAUTERY: (220, 220, 226),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteLook:
    """One operating microscope and its instrument tray."""

    width_per_height: float
    limbus_share: float
    """Limbus radius over picture height, before each video's own zoom."""
    light: tuple[float, float, float]
    vignette: float
    """How dark the corners are, 0..1."""
    vignette_start: float
    metal: Colour
    hubs: dict[Instrument, Colour]
    drape: Colour
    reflexes: tuple[tuple[float, float, float], ...]
    """Images of the lamp on the cornea: x, y, radius."""


LOOKS = {
    Site.A: SiteLook(
        width_per_height=4 / 3, limbus_share=0.295, light=(1.0, 0.965, 0.88), vignette=0.86, vignette_start=0.62,
        metal=(176, 180, 184), hubs=HUBS_A, drape=(38, 62, 56),
        reflexes=((0.06, 0.1, 0.05), (0.2, 0.13, 0.035), (0.04, -0.62, 0.03)),
    ),
    Site.B: SiteLook(
        width_per_height=16 / 9, limbus_share=0.36, light=(0.9, 0.98, 1.06), vignette=0.98, vignette_start=0.8,
        metal=(140, 146, 186), hubs=HUBS_B, drape=(52, 84, 120),
        reflexes=((-0.1, 0.0, 0.045), (0.1, 0.0, 0.045), (0.0, 0.17, 0.045)),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class EyeLook:
    """One patient's eye, as it lies under the microscope."""

    iris: Colour
    pupil_radius: float
    haze: float
    """How cloudy the lens is, 0..1."""
    lens: Colour
    reflex: Colour
    redness: float
    centre: tuple[float, float]
    """Where the eye rests in the picture, from the middle, in limbus radii."""
    zoom: float
    cornea_haze: float
    stained: bool


def eye_look(program: Program, rng: np.random.Generator) -> EyeLook:
    """The patient that goes with a program."""
    phaco = program.procedure is Procedure.PHACO
    finding = program.finding
    pupil = 0.42 if finding is Finding.SMALL_PUPIL else 0.64 if phaco else 0.27
    haze = {Finding.WHITE_CATARACT: 0.95, Finding.BRUNESCENT_CATARACT: 0.8}.get(finding, 0.5) if finding else 0.5
    lens = {Finding.WHITE_CATARACT: (222, 222, 214), Finding.BRUNESCENT_CATARACT: (168, 112, 44)}
    offset_y = -0.5 if program.procedure is Procedure.TRABECULECTOMY else 0.0
    return EyeLook(
        iris=weighted(rng, IRIS_COLOURS),
        pupil_radius=pupil * float(rng.uniform(0.94, 1.06)),
        haze=haze * float(rng.uniform(0.8, 1.05)),
        lens=lens.get(finding, (190, 170, 140)) if finding else pick(rng, ((190, 176, 150), (196, 168, 120))),
        reflex=pick(rng, ((214, 76, 30), (226, 98, 40), (196, 58, 32))),
        redness=float(rng.uniform(0.3, 1.0)),
        centre=(float(rng.uniform(-0.12, 0.12)), offset_y + float(rng.uniform(-0.08, 0.08))),
        zoom=float(rng.uniform(0.92, 1.1)),
        cornea_haze=float(rng.uniform(0.75, 0.95)) if program.procedure is Procedure.KERATOPLASTY else 0.0,
        stained=finding is Finding.WHITE_CATARACT,
    )
