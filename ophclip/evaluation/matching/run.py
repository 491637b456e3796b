"""`ophclip retrieval`: a bundle and a corpus in; figures and the rank of every query out.

OUT/result.json   OUT/ranks.csv   OUT/vectors until it is done: a run that was cut short goes on from there

What was given is looked at before torch is loaded.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.records import Level
from ingest.shards import Entry, ShardReader
from ingest.status import open_corpus as open_manifest
from ophclip.config import DataConfig, MatchingConfig
from ophclip.data.files import open_corpus
from ophclip.evaluation.leakage import look_for_leakage
from ophclip.evaluation.matching.figures import NARRATION_CLIP, NARRATION_CLIP_WITHIN, TITLE_VIDEO
from ophclip.evaluation.matching.ranks import TEXT_TO_VISUAL, VISUAL_TO_TEXT, Ranks
from ophclip.evaluation.matching.records import (
    MatchingProvenance,
    MatchingResult,
    WrittenMatching,
    matching_result,
    write_matching,
)
from ophclip.evaluation.metrics import Ints
from ophclip.evaluation.recall import best_ranks, right_candidates
from ophclip.evaluation.receipts import Given, Receipt, SourceFile, given_to, read_receipt
from ophclip.evaluation.results import Throughput, code_version
from ophclip.models.description import read_description
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.evaluation.crossmodal import Pairs
    from ophclip.models.bundle import Loaded

_WHY = {
    NARRATION_CLIP: "fewer than two clips have a narration",
    NARRATION_CLIP_WITHIN: "no video has clips with different narrations",
    TITLE_VIDEO: "fewer than two videos have a title",
}


def match_corpus(
    bundle: Path | Loaded,
    corpus: str,
    out: Path,
    *,
    config: MatchingConfig,
    trained_on: Path | None = None,
    progress: Progress | None = None,
) -> MatchingResult:
    """How well narrations and clips, titles and videos of a corpus find each other; written into `out`.

    Args:
        corpus: its folder, or the address of a copy.
        trained_on: the corpus of the training, if copies of its videos are to be looked for by pictures as well.

    Raises:
        ValueError: bundle or corpus are not what they should be, or the corpus has nothing to compare.
    """
    reader = open_corpus(DataConfig(root=corpus))
    if not any(len(_titled(reader, level)) > 1 for level in (Level.CLIP, Level.VIDEO)):
        raise ValueError(f"{corpus}: fewer than two clips or videos with text; at least two are needed to compare")
    if isinstance(bundle, Path):
        read_description(bundle)
    for folder in (trained_on, Path(corpus)) if trained_on is not None else ():
        open_manifest(folder, read_only=True).close()
    out.mkdir(parents=True, exist_ok=True)
    from ophclip.evaluation.embedding import default_device
    from ophclip.models.bundle import load_bundle

    loaded = load_bundle(bundle, device=default_device()) if isinstance(bundle, Path) else bundle
    given = Given(dataset="corpus", root=corpus) if "://" in corpus else given_to(out, bundle, "corpus", Path(corpus))
    kept = out / "vectors" / f"{loaded.weights_sha256[:16]}-{reader.fingerprint[:16]}"
    result = evaluate_matching(loaded, reader, config, given, kept=kept, progress=progress)
    if trained_on is not None:
        result = replace(result, receipt=_looked_closer(result.receipt, loaded, Path(corpus), trained_on))
    write_matching(out, result)
    shutil.rmtree(out / "vectors")
    return result


def match_again(written: WrittenMatching, bundle: Path, corpus: str) -> MatchingResult:
    """The result as a bundle and a corpus give it now, with the settings and the copies that were written.

    Raises:
        ValueError: bundle or corpus are not what they should be.
    """
    about = written.provenance
    config = MatchingConfig(
        clip_frames=about.clip_frames,
        video_frames=about.video_frames,
        bootstrap_samples=about.bootstrap_samples,
        seed=about.seed,
    )
    reader = open_corpus(DataConfig(root=corpus))
    read_description(bundle)
    from ophclip.evaluation.embedding import default_device
    from ophclip.models.bundle import load_bundle

    receipt = read_receipt(written.tree)
    again = evaluate_matching(load_bundle(bundle, device=default_device()), reader, config, receipt.given)
    if receipt.leakage.thresholds:
        again = replace(again, receipt=replace(again.receipt, leakage=receipt.leakage))
    return again


def evaluate_matching(
    loaded: Loaded,
    reader: ShardReader,
    config: MatchingConfig,
    given: Given,
    *,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> MatchingResult:
    """Embed all samples with text, rank them, and say which protocols the corpus does not allow.

    Vectors lie in the folder `kept` while it goes on, so that a run that was cut short is gone on with.

    Raises:
        ValueError: a sample that cannot be read.
    """
    from ophclip.evaluation.crossmodal import embed_pairs

    began = time.perf_counter()
    frames = {Level.CLIP: config.clip_frames, Level.VIDEO: config.video_frames}
    pairs = {
        level: embed_pairs(loaded, reader, level, count, progress=progress, kept=kept)
        for level, count in frames.items()
        if len(_titled(reader, level)) > 1
    }
    asked = {
        NARRATION_CLIP: _over_all(NARRATION_CLIP, pairs.get(Level.CLIP)),
        NARRATION_CLIP_WITHIN: _within_videos(NARRATION_CLIP_WITHIN, pairs.get(Level.CLIP)),
        TITLE_VIDEO: _over_all(TITLE_VIDEO, pairs.get(Level.VIDEO)),
    }
    files = _files(reader, {video_id for one in pairs.values() for video_id in one.video_ids})
    hashes = {video_id: file.sha256 for video_id, file in files.items()}
    return matching_result(
        _provenance(loaded, reader, config, pairs, next(name for name, ranks in asked.items() if ranks)),
        Throughput(
            frames=sum(len(one.keys) * frames[level] for level, one in pairs.items()),
            video_seconds=0.0,
            wall_seconds=time.perf_counter() - began,
        ),
        tuple(one for ranks in asked.values() for one in ranks),
        left_out={name: _WHY[name] for name, ranks in asked.items() if not ranks},
        receipt=Receipt(given=given, files=files, leakage=look_for_leakage(loaded.training, hashes)),
    )


def _looked_closer(receipt: Receipt, loaded: Loaded, corpus: Path, trained_on: Path) -> Receipt:
    """With the fingerprints that both corpora keep."""
    from ophclip.evaluation.copies import fingerprints_of_corpus, look_for_copies

    hashes = {video_id: file.sha256 for video_id, file in receipt.files.items()}
    with open_manifest(corpus, read_only=True) as manifest:
        fingerprints = fingerprints_of_corpus(manifest, hashes)
        return replace(receipt, leakage=look_for_copies(loaded.training, trained_on, hashes, fingerprints))


def _titled(reader: ShardReader, level: Level) -> list[Entry]:
    return [entry for entry in reader.entries(level) if entry.has_text]


def _over_all(protocol: str, pairs: Pairs | None) -> tuple[Ranks, ...]:
    return () if pairs is None else _ranks(protocol, pairs, [np.arange(len(pairs.keys))])


def _within_videos(protocol: str, pairs: Pairs | None) -> tuple[Ranks, ...]:
    """Videos whose clips all say the same are left out: nothing could be wrong there."""
    if pairs is None:
        return ()
    rows: dict[str, list[int]] = {}
    for row, video_id in enumerate(pairs.video_ids):
        rows.setdefault(video_id, []).append(row)
    parts = [np.array(own) for own in rows.values() if len(set(pairs.group_n[own].tolist())) > 1]
    return _ranks(protocol, pairs, parts) if parts else ()


def _ranks(protocol: str, pairs: Pairs, parts: Sequence[Ints]) -> tuple[Ranks, ...]:
    """Both directions; what is compared is compared within each part."""
    rows_q = np.concatenate(parts)
    sides = {
        TEXT_TO_VISUAL: (pairs.text_nd, pairs.visual_nd),
        VISUAL_TO_TEXT: (pairs.visual_nd, pairs.text_nd),
    }
    groups = [pairs.group_n[part] for part in parts]
    return tuple(
        Ranks(
            protocol=protocol,
            direction=direction,
            keys=tuple(pairs.keys[row] for row in rows_q),
            video_ids=tuple(pairs.video_ids[row] for row in rows_q),
            rank_q=np.concatenate(
                [
                    best_ranks(query_nd[part], candidate_nd[part], own, own)
                    for part, own in zip(parts, groups, strict=True)
                ]
            ),
            right_q=np.concatenate([right_candidates(own, own) for own in groups]),
            candidates_q=np.concatenate([np.full(len(own), len(own)) for own in groups]),
        )
        for direction, (query_nd, candidate_nd) in sides.items()
    )


def _files(reader: ShardReader, video_ids: Collection[str]) -> dict[str, SourceFile]:
    keys = {entry.video_id: entry.key for level in Level for entry in reader.entries(level)}
    hashes = {video_id: str(reader.facts(keys[video_id]).get("source_sha256", "")) for video_id in sorted(video_ids)}
    return {video_id: SourceFile(path="", sha256=sha256) for video_id, sha256 in hashes.items()}


def _provenance(
    loaded: Loaded, reader: ShardReader, config: MatchingConfig, pairs: Mapping[Level, Pairs], protocol: str
) -> MatchingProvenance:
    words = "\n".join(f"{level.value} {one.words_sha256}" for level, one in pairs.items())
    return MatchingProvenance(
        protocol=protocol,
        corpus_sha256=reader.fingerprint,
        split_sha256=hashlib.sha256(words.encode()).hexdigest(),
        clip_frames=config.clip_frames,
        video_frames=config.video_frames,
        model_name=loaded.config.name,
        weights_sha256=loaded.weights_sha256,
        code_version=code_version(),
        seed=config.seed,
        bootstrap_samples=config.bootstrap_samples,
    )
