"""Similarity of each class over the time of a video, as a picture with its numbers. Shapes: T seconds, C classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.report.charts import score_curves
from ophclip.evaluation.report.page import Picture, Table, drawn
from ophclip.evaluation.scores import VideoScores

POINTS = 600
"""A longer video is drawn as means over equal numbers of seconds."""
CURVES = 24
"""Of more classes those are shown that the video has, then those that score highest."""


def curve_picture(video: VideoScores, classes: Sequence[str], truth_tc: NDArray[np.bool_], words: str) -> Picture:
    """The curve of every class of one video, shaded where the truth says the class."""
    shown = _shown(video.scores_tc, truth_tc)
    step = -(-len(video.seconds_t) // POINTS)
    seconds_t = video.seconds_t[::step]
    scores_tc = _means(video.scores_tc[:, shown].astype(np.float64), step)
    marks_tc = _means(truth_tc[:, shown].astype(np.float64), step) >= 0.5
    labels = [classes[place] for place in shown]
    thinned = "" if step == 1 else f" Each point is the mean of {step} scores."
    left_out = f" {len(classes) - len(shown)} classes are left out." if len(shown) < len(classes) else ""
    rows = tuple(
        (f"{second:g}", *(f"{score:.4f}" for score in scores), " | ".join(np.array(labels)[marks].tolist()))
        for second, scores, marks in zip(seconds_t.tolist(), scores_tc.tolist(), marks_tc, strict=True)
    )
    return drawn(
        score_curves(seconds_t, scores_tc, labels, marks_tc, title=video.video_id, note="similarity of each prompt"),
        title=f"{video.video_id}: similarity of each prompt over time ({words})",
        text="How well the picture fits what is said of each class (cosine). A good model is high where its row is "
        f"shaded and low elsewhere.{thinned}{left_out}",
        alt=f"{len(labels)} curves of similarity over {seconds_t[-1] / 60:.1f} minutes of {video.video_id}.",
        numbers=Table(
            caption=f"Similarity over time of {video.video_id}", headings=("seconds", *labels, "truth"), rows=rows
        ),
        file=f"similarity_{words.replace(' ', '_')}",
    )


def _shown(scores_tc: NDArray[np.float32], truth_tc: NDArray[np.bool_]) -> list[int]:
    if scores_tc.shape[1] <= CURVES:
        return list(range(scores_tc.shape[1]))
    order = np.lexsort((-scores_tc.mean(axis=0), ~truth_tc.any(axis=0)))
    return sorted(order[:CURVES].tolist())


def _means(values_tc: Floats, step: int) -> Floats:
    """Means of every `step` rows; the last is of what is left."""
    starts = np.arange(0, len(values_tc), step)
    sums = np.add.reduceat(values_tc, starts, axis=0)
    return np.asarray(sums / np.diff(np.append(starts, len(values_tc)))[:, None])
