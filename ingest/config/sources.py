"""Options of where videos come from, and of what a file may ask of the machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require


@dataclass(kw_only=True, slots=True)
class LimitsConfig:
    """What a video may ask for; a file that asks for more is refused before it is decoded."""

    max_pixels: int = 36_000_000
    """Most pixels of one picture. Default: a little more than 8K."""
    max_hours: float = 12.0
    """Longest video."""
    max_streams: int = 64
    """Most streams in one file."""

    def __post_init__(self) -> None:
        require(self.max_pixels >= 1, "limits.max_pixels", self.max_pixels, "at least 1 pixel")
        require(self.max_hours > 0.0, "limits.max_hours", self.max_hours, "more than 0 hours")
        require(self.max_streams >= 1, "limits.max_streams", self.max_streams, "at least 1")


@dataclass(kw_only=True, slots=True)
class FetchConfig:
    """Fetching from addresses; nothing is fetched unless `--fetch` asks for it."""

    hosts: list[str] = field(
        default_factory=lambda: ["youtube.com", "www.youtube.com", "youtu.be", "vimeo.com", "www.vimeo.com"]
    )
    """Hosts that an address may name, exactly; others are refused."""
    timeout_seconds: float = 30.0
    """How long one answer is waited for."""
    max_gigabytes: float = 20.0
    """Largest file that is fetched."""

    def __post_init__(self) -> None:
        require(self.timeout_seconds > 0.0, "fetch.timeout_seconds", self.timeout_seconds, "more than 0 seconds")
        require(self.max_gigabytes > 0.0, "fetch.max_gigabytes", self.max_gigabytes, "more than 0")
        require(all(host and "/" not in host for host in self.hosts), "fetch.hosts", self.hosts, "names of hosts")
