"""Options of predictions that take other seconds of a video into account. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.options import Option


class Causal(Option):
    """How the past of a video changes what is predicted now; nothing of the future is used."""

    NONE = "none"
    MEAN = "mean"
    """The mean of each class' scores over the last seconds."""
    MEDIAN = "median"
    """The median of each class' scores over the last seconds: a short burst changes nothing. Not the most frequent
    class, which has no answer where two are equally frequent, and forgets by how little a class came second."""
    HMM = "hmm"
    """Probabilities of the phases given all seconds so far: the forward filter of a hidden Markov model."""


class Offline(Option):
    """How the whole of a video, its future included, changes what is predicted."""

    NONE = "none"
    VITERBI = "viterbi"
    """The most likely sequence of phases in a hidden Markov model."""


@dataclass(kw_only=True, slots=True)
class SmoothingConfig:
    """Phases are also predicted from more than one second; each way is reported apart, and never instead of the plain
    predictions. In the Markov model a class is as likely to look as a frame does as the softmax of the frame's scores
    says, at the model's temperature."""

    causal: Causal = Causal.NONE
    """`mean` or `median` over the last `seconds`, or `hmm`."""
    offline: Offline = Offline.NONE
    """`viterbi`: with the whole video known."""
    seconds: float = 15.0
    """How much of the past `mean` and `median` take, the present frame included."""
    transitions: str = ""
    """How phases follow each other, for `hmm` and `viterbi`: a CSV or YAML file of the probabilities from one scored
    frame to the next. Empty: learned from the labels of `fit_split`, and without it staying is all that is known."""
    dwell_seconds: float = 60.0
    """Without labels to learn from: how long a phase lasts on average; all others then follow with the same chance."""
    pseudo_count: float = 1.0
    """Added to the count of every transition that is learned, so that one that was not seen stays possible."""

    def __post_init__(self) -> None:
        for name in ("seconds", "dwell_seconds", "pseudo_count"):
            if getattr(self, name) <= 0:
                raise ValueError(f"zeroshot.smoothing.{name}: must be positive")
        if self.transitions and not self.markov:
            raise ValueError("zeroshot.smoothing.transitions: set causal=hmm or offline=viterbi, which use them")

    @property
    def markov(self) -> bool:
        """Whether transitions are used."""
        return self.causal is Causal.HMM or self.offline is Offline.VITERBI

    @property
    def learns(self) -> bool:
        """Whether transitions are learned where there is a `fit_split`."""
        return self.markov and not self.transitions
