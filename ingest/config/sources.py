"""What is fetched, and what a file may ask of the machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require


@dataclass(kw_only=True, slots=True)
class FetchConfig:
    """Download the addresses of a list through yt-dlp."""

    enabled: bool = False
    """Whether the source is a list of http(s) addresses to fetch; `--fetch` sets it."""
    hosts: list[str] = field(default_factory=list)
    """Hosts that may be asked, each with its subdomains. Every request is held to them, redirects too."""

    def __post_init__(self) -> None:
        for host in self.hosts:
            require(not set(host) & set("/@*? "), "fetch.hosts", host, "a host such as example.org, without path")


@dataclass(kw_only=True, slots=True)
class LimitsConfig:
    """What a video may ask for; a file that says that it asks for more is refused before it is decoded."""

    max_pixels: int = 36_000_000
    """Most pixels of one picture. Default: a little more than 8K."""
    max_hours: float = 12.0
    """Longest video."""
    max_streams: int = 64
    """Most streams in one file."""
    max_file_gb: float = 300.0
    """Largest file. Default: twelve hours at 55 Mbit a second."""
    max_memory_gb: float = 6.0
    """Memory that decoding one video may take beyond what the process has. Default: twelve hours of sound and 8K."""
    max_decode_hours: float = 24.0
    """Longest time that decoding one video may take."""

    def __post_init__(self) -> None:
        require(self.max_pixels >= 1, "limits.max_pixels", self.max_pixels, "at least 1 pixel")
        require(self.max_hours > 0.0, "limits.max_hours", self.max_hours, "more than 0 hours")
        require(self.max_streams >= 1, "limits.max_streams", self.max_streams, "at least 1")
        require(self.max_file_gb > 0.0, "limits.max_file_gb", self.max_file_gb, "more than 0 GB")
        require(self.max_memory_gb > 0.0, "limits.max_memory_gb", self.max_memory_gb, "more than 0 GB")
        require(self.max_decode_hours > 0.0, "limits.max_decode_hours", self.max_decode_hours, "more than 0 hours")
