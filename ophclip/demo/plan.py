"""Where everything of one demo lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ophclip.config import DemoConfig

SITES = ("A", "B")
MODELS = ("trained", "untrained")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The folders of one demo."""

    out: Path
    config: DemoConfig

    @property
    def simulated(self) -> bool:
        """Whether the demo makes its own world and so knows the truth."""
        return not self.config.videos

    @property
    def source(self) -> Path:
        """The folder that is ingested."""
        return self.world("A") / "videos" if self.simulated else Path(self.config.videos)

    @property
    def corpus(self) -> Path:
        """What ingest wrote."""
        return self.out / "corpus"

    @property
    def run(self) -> Path:
        """What training wrote."""
        return self.out / "run"

    def world(self, site: str) -> Path:
        """The simulated world of one site."""
        return self.out / f"world_{site.lower()}"

    def held_out(self, site: str) -> Path:
        """The held-out videos of one site, with their truth."""
        return self.world(site) / "held_out"

    def bundle(self, model: str) -> Path:
        """The trained or the untrained bundle."""
        return self.run / "bundle" if model == "trained" else self.out / "untrained"

    def index(self, name: str) -> Path:
        """A search index: of a site's held-out videos, or of the user's own (`own`)."""
        return self.out / f"index_{name.lower()}"

    def result(self, *parts: str) -> Path:
        """A folder or file below results."""
        return self.out.joinpath("results", *(part.lower() for part in parts))
