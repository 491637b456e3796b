"""Retrieval between texts and pictures: ranks against a full matrix, figures by hand, results that are read again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophclip.evaluation import recall
from ophclip.evaluation.comparing import compare_results
from ophclip.evaluation.leakage import Leakage
from ophclip.evaluation.matching.figures import NARRATION_CLIP, TITLE_VIDEO, protocol_figures
from ophclip.evaluation.matching.ranks import TEXT_TO_VISUAL, VISUAL_TO_TEXT, Ranks, read_ranks, write_ranks
from ophclip.evaluation.matching.records import MatchingProvenance, MatchingResult, matching_result, write_matching
from ophclip.evaluation.metrics import Ints
from ophclip.evaluation.recall import best_ranks, chance, chance_median, right_candidates
from ophclip.evaluation.receipts import Receipt
from ophclip.evaluation.results import Throughput
from ophclip.evaluation.vectors import unit
from ophclip.evaluation.verifying import verify_result


def _naive(scores_qn: np.ndarray, group_q: Ints, group_n: Ints) -> list[int]:
    """Over the full matrix: sort each row, wrong before right among equals."""
    ranks = []
    for scores, group in zip(scores_qn, group_q, strict=True):
        order = sorted(range(len(scores)), key=lambda n: (-round(scores[n], 6), group_n[n] == group))
        ranks.append(1 + next(place for place, n in enumerate(order) if group_n[n] == group))
    return ranks


@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(1, 40),
    groups=st.integers(1, 40),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
)
def test_blocks_give_the_ranks_of_the_full_matrix(
    seed: int, samples: int, groups: int, rows: int, columns: int
) -> None:
    random = np.random.default_rng(seed)
    pool = unit(random.standard_normal((max(samples // 2, 1), 5)))  # equal vectors, so that scores tie
    text_nd, visual_nd = (pool[random.integers(0, len(pool), samples)] for _ in range(2))
    group_n = random.integers(0, groups, samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall, "_QUERIES_AT_ONCE", rows)
        patch.setattr(recall, "_CANDIDATES_AT_ONCE", columns)
        found = best_ranks(text_nd, visual_nd, group_n, group_n)
    assert found.tolist() == _naive(text_nd @ visual_nd.T, group_n, group_n)


@given(st.integers(2, 30), st.integers(1, 10), st.integers(0, 1000))
def test_chance_is_that_of_random_vectors_within_its_interval(videos: int, clips: int, seed: int) -> None:
    if videos * clips < 12:
        return
    random = np.random.default_rng(seed)
    count = videos * clips
    rank_q = best_ranks(
        *(unit(random.standard_normal((count, 8))) for _ in range(2)), np.arange(count), np.arange(count)
    )
    figures = protocol_figures([_ranks(rank_q, videos)], samples=50, seed=0)[NARRATION_CLIP]
    name = f"{TEXT_TO_VISUAL}_recall_at_10"
    spread = np.sqrt(figures.chance[name] * (1 - figures.chance[name]) / count)
    assert abs(figures.figures[name].mean - figures.chance[name]) <= 5 * spread + 1e-9
    assert abs(figures.chance[f"{TEXT_TO_VISUAL}_median_rank"] - (count + 1) / 2) <= 0.5


def _ranks(rank_q: Ints, videos: int, direction: str = TEXT_TO_VISUAL, protocol: str = NARRATION_CLIP) -> Ranks:
    count = len(rank_q)
    return Ranks(
        protocol=protocol,
        direction=direction,
        keys=tuple(f"v{n % videos}-{n:08d}" for n in range(count)),
        video_ids=tuple(f"v{n % videos}" for n in range(count)),
        rank_q=np.asarray(rank_q),
        right_q=np.ones(count, dtype=np.int64),
        candidates_q=np.full(count, count),
    )


def test_figures_by_hand() -> None:
    figures = protocol_figures([_ranks(np.array([1, 2, 3, 12, 1, 6] + [20] * 14), 2)], samples=200, seed=0)[
        NARRATION_CLIP
    ]
    assert figures.figures["text_to_visual_recall_at_1"].mean == 2 / 20
    assert figures.figures["text_to_visual_recall_at_5"].mean == 4 / 20
    assert figures.figures["text_to_visual_recall_at_10"].mean == 5 / 20
    assert figures.figures["text_to_visual_median_rank"].mean == 20
    assert figures.chance["text_to_visual_recall_at_5"] == pytest.approx(5 / 20)
    assert figures.chance["text_to_visual_median_rank"] == 10
    assert figures.videos["v0"]["text_to_visual_recall_at_1"] == 2 / 10
    interval = figures.figures["text_to_visual_recall_at_1"]
    assert (interval.low, interval.high) == (0.0, 0.2)  # only two videos can be drawn


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 6), st.integers(0, 99))
def test_the_median_of_drawn_videos_is_that_of_their_queries(ranks: list[int], videos: int, seed: int) -> None:
    from ophclip.evaluation.matching.figures import statistics

    one = _ranks(np.array(ranks), min(videos, len(ranks)))
    names = sorted(set(one.video_ids))
    drawn = np.random.default_rng(seed).integers(0, len(names), (3, len(names)))
    expected = [
        np.median(
            np.concatenate([[r for r, v in zip(ranks, one.video_ids, strict=True) if v == names[p]] for p in row])
        )
        for row in drawn
    ]
    assert statistics(one, names)["text_to_visual_median_rank"].of(drawn).tolist() == expected


def test_chance_counts_the_samples_with_the_same_words() -> None:
    group_n = np.array([0, 0, 0, 1, 2, 3, 4, 5])
    right_q = right_candidates(group_n, group_n)
    assert right_q.tolist() == [3, 3, 3, 1, 1, 1, 1, 1]
    candidates_q = np.full(8, 8)
    assert chance(candidates_q, right_q, 1) == pytest.approx((3 * 3 / 8 + 5 / 8) / 8)
    assert chance(candidates_q, right_q, 8) == 1.0
    assert chance_median(np.array([9]), np.array([1])) == 5.0


def _result(seed: int, videos: int = 5, worse: int = 0) -> MatchingResult:
    random = np.random.default_rng(seed)
    ranks = tuple(
        _ranks(np.minimum(random.integers(1, 8, 20) + worse, 20), videos, direction, protocol)
        for protocol in (NARRATION_CLIP, TITLE_VIDEO)
        for direction in (TEXT_TO_VISUAL, VISUAL_TO_TEXT)
    )
    provenance = MatchingProvenance(
        protocol=NARRATION_CLIP, corpus_sha256="c", split_sha256="s", clip_frames=4, video_frames=16, model_name="m",
        weights_sha256="w", code_version="0", seed=0, bootstrap_samples=64,
    )  # fmt: skip
    throughput = Throughput(frames=1, video_seconds=0.0, wall_seconds=1.0)
    return matching_result(provenance, throughput, ranks, left_out={}, receipt=Receipt(leakage=Leakage()))


def test_ranks_come_back_and_what_was_touched_is_named(tmp_path: Path) -> None:
    one = _result(0)
    write_matching(tmp_path, one)
    again = read_ranks(tmp_path / "ranks.csv")
    assert [(ranks.protocol, ranks.direction, ranks.keys) for ranks in again] == [
        (ranks.protocol, ranks.direction, ranks.keys) for ranks in one.ranks
    ]
    assert verify_result(tmp_path) == ()
    lines = (tmp_path / "ranks.csv").read_text().splitlines()
    *kept, rank, right, candidates = lines[1].split(",")
    lines[1] = ",".join([*kept, str(int(rank) + 10), right, candidates])
    (tmp_path / "ranks.csv").write_text("\n".join(lines) + "\n")
    fields = {mismatch.field for mismatch in verify_result(tmp_path)}
    assert f"protocols.{NARRATION_CLIP}.figures.{TEXT_TO_VISUAL}_recall_at_10.mean" in fields
    assert not any(TITLE_VIDEO in field for field in fields)


@pytest.mark.parametrize(
    ("cells", "words"),
    [(("21", "1", "20"), "rank 21 cannot be"), (("0", "1", "20"), "rank is '0'"), (("1", "x", "20"), "right is 'x'")],
)
def test_a_rank_that_cannot_be_is_named_with_its_line(tmp_path: Path, cells: tuple[str, str, str], words: str) -> None:
    write_ranks(tmp_path / "ranks.csv", _result(0).ranks)
    lines = (tmp_path / "ranks.csv").read_text().splitlines()
    lines[2] = ",".join([*lines[2].split(",")[:4], *cells])
    (tmp_path / "ranks.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=rf"ranks\.csv, line 3: {words}"):
        read_ranks(tmp_path / "ranks.csv")


def test_two_results_are_compared_on_the_same_samples_only(tmp_path: Path) -> None:
    write_matching(tmp_path / "good", _result(0))
    write_matching(tmp_path / "bad", _result(1, worse=9))
    rows = {(row.protocol, row.figure): row.difference for row in compare_results(tmp_path / "good", tmp_path / "bad")}
    assert len(rows) == 16
    gain = rows[NARRATION_CLIP, "text_to_visual_median_rank"]
    assert gain.low > 0
    assert gain.difference == gain.second - gain.first > 0
    other = _result(2)
    write_matching(tmp_path / "other", replace(other, provenance=replace(other.provenance, split_sha256="t")))
    with pytest.raises(ValueError, match=r"different samples or words \(split hash\): s, t"):
        compare_results(tmp_path / "good", tmp_path / "other")
    tree = json.loads((tmp_path / "bad" / "result.json").read_text())
    (tmp_path / "bad" / "result.json").write_text(json.dumps({**tree, "task": "phases"}))
    with pytest.raises(ValueError, match="different tasks, one of them is retrieval"):
        compare_results(tmp_path / "good", tmp_path / "bad")
