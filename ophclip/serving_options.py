"""Options of the HTTP service. Torch-free."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field


@dataclass(kw_only=True, slots=True)
class UploadLimits:
    """What an uploaded picture or clip may ask of the machine; more is refused."""

    picture_mb: float = 20.0
    """Largest picture, in megabytes (10^6 bytes), counted while it arrives."""
    clip_mb: float = 200.0
    """Largest clip, in megabytes."""
    max_pixels: int = 36_000_000
    """Most pixels of one picture. Default: a little more than 8K."""
    clip_seconds: float = 120.0
    """Longest clip."""
    clip_frames: int = 64
    """Most frames of a clip that are encoded, spread evenly over it; a shorter one is read at the index' own rate."""
    clip_streams: int = 16
    """Most streams in one file."""
    decode_seconds: float = 30.0
    """Time that decoding one upload may take, of the clock and of the processor; then its process is ended."""
    decode_memory_mb: int = 3000
    """Address space of a decoding process."""
    decoders: int = 2
    """Decoding processes; each is replaced when it dies."""
    at_once: int = 8
    """Uploads that may be under way or wait for a decoder; one more is answered with 429."""
    seconds: float = 60.0
    """Time in which the whole body of a request must arrive."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"limits.{name}: must be positive")


@dataclass(kw_only=True, slots=True)
class ServingConfig:
    """The HTTP service over a search index."""

    host: str = "127.0.0.1"
    """Address to listen on. One that other machines reach needs `tokens`."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    tokens: str = ""
    """File of tokens that `ophclip token create` wrote; empty lets everybody in who reaches the loopback address."""
    allowed_hosts: list[str] = field(default_factory=list)
    """Names under which the service is reached besides the loopback ones and `host`, such as that of a proxy before
    it. A request under any other name is refused, because a page elsewhere could have made it."""
    bundle: str = ""
    """The bundle that made the index, if it was moved."""
    threads: int = 0
    """CPU threads of torch; 0 leaves torch's own choice."""
    requests: int = 64
    """Requests that may be under way or wait; one more is answered with 429."""
    streams: int = 32
    """Videos that may be played at the same time."""
    queue: int = 2048
    """Texts, and as many pictures, that may wait for the encoder; a request with more is answered with 429."""
    batch_texts: int = 256
    """Most texts that are encoded together."""
    batch_frames: int = 16
    """Most pictures that are encoded together; texts that wait come in between."""
    cached_texts: int = 20_000
    """Texts whose vectors are kept in memory; the least recently asked for goes first."""
    idle_seconds: float = 15.0
    """A client that neither sends a request nor takes its answer for so long is cut off."""
    stop_seconds: float = 15.0
    """Time that requests under way get to end after SIGTERM; new ones are answered with 503 meanwhile."""
    limits: UploadLimits = field(default_factory=UploadLimits)

    def __post_init__(self) -> None:
        for name in ("requests", "streams", "queue", "batch_texts", "batch_frames", "cached_texts"):
            if getattr(self, name) < 1:
                raise ValueError(f"serve.{name}: must be at least 1")
        if self.idle_seconds <= 0 or self.stop_seconds <= 0:
            raise ValueError("serve.idle_seconds, serve.stop_seconds: must be positive")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"serve.port: {self.port} is no port; expected 0 (a free one) to 65535")
        if not self.is_loopback and not self.tokens:
            raise ValueError(
                f"serve.host: other machines reach {self.host}; make a token with "
                "`ophclip token create --scope read --name NAME --file TOKENS.json` and give tokens=TOKENS.json"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
