"""The result of `ophclip retrieval`, and how it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest.atomic import write_json
from ophclip.evaluation.matching.figures import MatchingFigures, median_name, protocol_figures, recall_name
from ophclip.evaluation.matching.ranks import RANKS_NAME, TEXT_TO_VISUAL, Ranks, read_ranks, write_ranks
from ophclip.evaluation.reading import read_tree
from ophclip.evaluation.receipts import Receipt, read_receipt
from ophclip.evaluation.results import Throughput, nulled

RETRIEVAL = "retrieval"


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchingProvenance:
    """Everything that the figures depend on."""

    protocol: str
    """The one of the headline."""
    corpus_sha256: str
    """Fingerprint of the corpus: names and checksums of its shards."""
    split_sha256: str
    """Of all keys, videos and words that were compared."""
    clip_frames: int
    video_frames: int
    model_name: str
    weights_sha256: str
    code_version: str
    seed: int
    bootstrap_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchingResult:
    """Figures of every protocol that the corpus allows, and the ranks they are made of."""

    provenance: MatchingProvenance
    throughput: Throughput
    protocols: Mapping[str, MatchingFigures]
    left_out: Mapping[str, str]
    """Protocols that the corpus does not allow, and why."""
    ranks: tuple[Ranks, ...]
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def headline(self) -> str:
        """Its main figures, a protocol at a time, in one line."""
        told = "; ".join(_told(name, figures) for name, figures in self.protocols.items())
        return f"{told}{self.receipt.leakage.alarm}"

    def to_json(self) -> dict[str, Any]:
        """Plain tree without the ranks; undefined figures are null."""
        tree = {
            "task": RETRIEVAL,
            "provenance": asdict(self.provenance),
            "throughput": asdict(self.throughput),
            "classes": [],
            "summary": {name: asdict(one) for name, one in self.protocols[self.provenance.protocol].figures.items()},
            "protocols": {name: asdict(figures) for name, figures in self.protocols.items()},
            "left_out": dict(self.left_out),
            **self.receipt.to_json(),
        }
        return {key: nulled(value) for key, value in tree.items()}


def matching_result(
    provenance: MatchingProvenance,
    throughput: Throughput,
    ranks: tuple[Ranks, ...],
    *,
    left_out: Mapping[str, str],
    receipt: Receipt,
) -> MatchingResult:
    """Every figure of the ranks."""
    drawn = {"samples": provenance.bootstrap_samples, "seed": provenance.seed}
    return MatchingResult(
        provenance=provenance,
        throughput=throughput,
        protocols=protocol_figures(ranks, **drawn),
        left_out=left_out,
        ranks=ranks,
        receipt=receipt,
    )


def write_matching(out: Path, result: MatchingResult) -> None:
    """Write `ranks.csv`, then `result.json`."""
    write_ranks(out / RANKS_NAME, result.ranks)
    write_json(out / "result.json", result.to_json())


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenMatching:
    """A result as it was written, and the ranks beside it."""

    path: Path
    tree: Mapping[str, Any]
    provenance: MatchingProvenance
    ranks: tuple[Ranks, ...]

    def again(self) -> MatchingResult:
        """The result that follows from the ranks; what does not follow from them is taken as it is."""
        return matching_result(
            self.provenance,
            Throughput(**self.tree["throughput"]),
            self.ranks,
            left_out=self.tree["left_out"],
            receipt=read_receipt(self.tree),
        )


def is_matching(place: Path) -> bool:
    """Whether a result is one of retrieval.

    Raises:
        ValueError: there is no result.
    """
    return bool(read_tree(place)[1].get("task") == RETRIEVAL)


def read_matching(place: Path) -> WrittenMatching:
    """Read a result folder, or the `result.json` in one.

    Raises:
        ValueError: a file is missing, or is no result of this version.
    """
    path, tree = read_tree(place)
    try:
        provenance = MatchingProvenance(**tree["provenance"])
        tree["throughput"], tree["left_out"], tree["protocols"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a result of this version of ophclip ({error}); evaluate again") from error
    ranks = read_ranks(path.with_name(RANKS_NAME))
    if unknown := {one.protocol for one in ranks} - tree["protocols"].keys():
        raise ValueError(f"{path.with_name(RANKS_NAME)}: {min(unknown)} is no protocol of {path}; evaluate again")
    return WrittenMatching(path=path, tree=tree, provenance=provenance, ranks=ranks)


def _told(name: str, figures: MatchingFigures) -> str:
    first = recall_name(TEXT_TO_VISUAL, 1)
    best, median = figures.figures[first], figures.figures[median_name(TEXT_TO_VISUAL)]
    return (
        f"{name}: R@1 {best} (chance {figures.chance[first]:.3f}), "
        f"median rank {median.mean:g}, {figures.queries} texts of {len(figures.videos)} videos"
    )
