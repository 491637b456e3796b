"""What the verdicts on single pictures mean for a whole video and for its clips."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.pictures.screen import Verdict, main_reason, surgery_share
from ingest.records import Clip, Refused, Rejection


def not_surgery(verdicts: Sequence[Verdict], min_surgery_share: float) -> str:
    """Why pictures as a whole are no surgery, an empty string if they are."""
    share = surgery_share(verdicts)
    if share >= min_surgery_share:
        return ""
    return f"not surgery: {1 - share:.0%} of the pictures, most for {main_reason(verdicts)}"


def shown(verdicts: Sequence[Verdict], count: int) -> Sequence[int]:
    """Places of those of `count` pictures that samples may show: of surgery, or all if none was judged to be."""
    return [place for place, verdict in enumerate(verdicts) if verdict.surgery] or range(count)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What is known of the pictures of a video."""

    seconds: Sequence[float]
    """Of the sampled ones, in order."""
    verdicts: Sequence[Verdict]
    """On each of them; none if they were not screened."""
    end_seconds: float
    """Where the last one ends."""


def screen_clips(
    clips: Sequence[Clip], shown: Shown, min_surgery_share: float
) -> tuple[tuple[Clip, ...], tuple[Rejection, ...]]:
    """Clips that show surgery, numbered anew, and the others with the reason."""
    kept: list[Clip] = []
    refused: list[Rejection] = []
    for clip in clips:
        reason = _why_not(clip, shown, min_surgery_share)
        if reason:
            refused.append(
                Rejection(
                    start_seconds=clip.start_seconds,
                    end_seconds=clip.end_seconds,
                    text=clip.narration,
                    reason=reason,
                    kind=Refused.CLIP,
                )
            )
        else:
            kept.append(replace(clip, index=len(kept)))
    return tuple(kept), tuple(refused)


def _why_not(clip: Clip, shown: Shown, min_surgery_share: float) -> str:
    if clip.start_seconds >= shown.end_seconds:
        return f"no picture: they end at {shown.end_seconds:.1f} s"
    first, end = bisect_left(shown.seconds, clip.start_seconds), bisect_right(shown.seconds, clip.end_seconds)
    return not_surgery(shown.verdicts[first:end], min_surgery_share)
