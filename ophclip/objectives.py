"""Options of what training optimises: the losses of both levels, and how silent videos enter. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.options import Option


class Contrastive(Option):
    """Loss between pictures and texts."""

    INFONCE = "infonce"
    """A softmax over the batch, in both directions."""
    SIGLIP = "siglip"
    """A sigmoid for each pair."""
    NONE = "none"
    """No texts: two views of single frames of all videos, narrated, silent or untitled. A first stage, if wanted."""


class SelfSupervision(Option):
    """Loss between two augmented views of a clip."""

    SIMSIAM = "simsiam"
    SIMCLR = "simclr"
    NONE = "none"


class RetrievalMode(Option):
    """How silent videos enter training (docs/method.md)."""

    LIVE = "live"
    """What a narrated title retrieves is loaded, encoded with gradient, and a positive of that title."""
    BANK = "bank"
    """What it retrieves stays frozen: vectors of the bank are targets (the literal reading of the paper)."""
    FUSE = "fuse"
    """The narrated video's vector is enriched by attention over the bank, before a contrast with its title."""
    SILENT_PAIRS = "silent_pairs"
    """The control: silent videos at random, with their titles, and no retrieval."""
    BOTH = "both"
    """`live` and `silent_pairs`."""
    NONE = "none"


class RetrievalKey(Option):
    """Which vector of a silent video a narrated title is compared with."""

    TITLE = "title"
    VISUAL = "visual"
    MEAN = "mean"


class RetrievalSide(Option):
    """Which vectors of a narrated video `bank` pulls towards what was retrieved."""

    VISUAL = "visual"
    """Its pictures, towards titles of the bank."""
    TITLE = "title"
    """Its title, towards pictures of the bank."""
    BOTH = "both"


class BankRefresh(Option):
    """How the rows of the bank are encoded anew after the first time, which is always all at once."""

    FULL = "full"
    """All at once, every `refresh_every` steps."""
    SHADOW = "shadow"
    """`refresh_rows` at a video step, beside the bank in use; once all are there they take its place."""
    ROLLING = "rolling"
    """The oldest `refresh_rows` at a video step, in place."""


class BankIndex(Option):
    """How the bank is searched (docs/adr/0006-retrieval-index.md)."""

    EXACT = "exact"
    IVF = "ivf"
    HNSW = "hnsw"


@dataclass(kw_only=True, slots=True)
class LossConfig:
    """What is optimised at the two levels."""

    contrastive: Contrastive = Contrastive.INFONCE
    """Between pictures and texts. Default: InfoNCE (paper section 3.2)."""
    self_supervision: SelfSupervision = SelfSupervision.SIMSIAM
    """Between two views of each clip. Default: SimSiam (paper section 3.2)."""
    self_supervision_weight: float = 1.0
    """Weight of that loss at clip level (`w_ssl`)."""
    mask_same_video: bool = True
    """Leave clips of one video out of each other's negatives."""
    share_equal_texts: bool = True
    """Texts of a batch that are the same words are positives of each other's pictures instead of negatives."""
    minimal_pairs: float = 0.0
    """How many negatives a narration with one word turned into its opposite counts for its own clip; 0 makes none."""

    def __post_init__(self) -> None:
        if self.self_supervision_weight < 0:
            raise ValueError("loss.self_supervision_weight: must not be negative; 0 leaves the loss out")
        if self.minimal_pairs < 0:
            raise ValueError("loss.minimal_pairs: must not be negative; 0 makes none")
        if self.contrastive is Contrastive.NONE:
            if self.self_supervision is SelfSupervision.NONE or self.self_supervision_weight == 0:
                raise ValueError("loss.contrastive: none leaves nothing to learn without loss.self_supervision")
            if self.minimal_pairs:
                raise ValueError("loss.minimal_pairs: loss.contrastive=none reads no narrations; set it to 0")


@dataclass(kw_only=True, slots=True)
class RetrievalConfig:
    """Silent videos as an auxiliary signal at video level (paper section 3.3)."""

    mode: RetrievalMode = RetrievalMode.LIVE
    """`live` loads and encodes what was retrieved; `silent_pairs` is the control that just trains on silent titles."""
    top_k: int = 4
    """How many silent videos are retrieved for a narrated title."""
    min_score: float = 0.8
    """Hits with a lower score are dropped, so that an empty, vague or foreign bank adds nothing."""
    key: RetrievalKey = RetrievalKey.TITLE
    """What of a silent video the narrated title is compared with. A score of pictures is lower than one of titles."""
    visual_weight: float = 10.0
    """`live`: weight of visual agreement beside the title score when one of the top K is drawn."""
    own_title: bool = True
    """`live`: also pair a retrieved silent video with its own title."""
    side: RetrievalSide = RetrievalSide.BOTH
    """`bank`: which vectors of the narrated video learn from the bank."""
    shuffled: bool = False
    """A control, useless otherwise: what was retrieved is exchanged for another silent video, the same one always."""
    weight: float = 1.0
    """Weight of the retrieval loss (`w_ra`)."""
    warmup_steps: int = 0
    """Steps before retrieval begins; it never begins before the first full refresh of the bank."""
    refresh: BankRefresh = BankRefresh.FULL
    """How rows are encoded anew: `full`, `shadow` or `rolling`. The last two leave no long pause."""
    refresh_every: int = 500
    """`full`: steps between re-encodings of the whole bank."""
    refresh_rows: int = 64
    """`shadow`, `rolling`: silent videos encoded at each video step. Default decided here: about the cost of `full`
    for the 30,636 silent videos of the paper, every fourth step a video step, at `refresh_every=2000`."""
    index: BankIndex = BankIndex.EXACT
    """How the bank is searched: `exact`, `ivf` or `hnsw`. Default: exact, which is affordable at the paper's size."""
    momentum: float = 0.0
    """Share of the old vector that stays when a step writes a row back; 0 replaces it."""

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError("retrieval.top_k: must be at least 1; retrieval.mode=none turns retrieval off")
        if self.refresh_every < 1 or self.refresh_rows < 1 or self.warmup_steps < 0:
            raise ValueError("retrieval: refresh_every and refresh_rows must be at least 1, warmup_steps not negative")
        if not 0 <= self.momentum < 1:
            raise ValueError("retrieval.momentum: must lie in 0 (replace) up to, not including, 1")
        if self.shuffled and self.mode in {RetrievalMode.NONE, RetrievalMode.SILENT_PAIRS}:
            raise ValueError(f"retrieval.shuffled: retrieval.mode={self.mode} retrieves nothing; leave it out")
