"""Small results of phases and of presence, made from what is drawn."""

from __future__ import annotations

import numpy as np

from ophclip.config import PresenceThreshold
from ophclip.evaluation.clips import Clip
from ophclip.evaluation.phases import phase_result
from ophclip.evaluation.presence import presence_result, presence_score
from ophclip.evaluation.records import Source
from ophclip.evaluation.results import PhaseResult, PresenceResult, Provenance, Throughput
from ophclip.evaluation.scores import VideoScores
from ophclip.evaluation.timelines import Prediction, Timeline
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig

CLASSES = ("incision", "rhexis", "phaco")
INSTRUMENTS = ("knife", "phaco tip", "never seen")


def provenance(**changes: object) -> Provenance:
    given = {
        "protocol": "video_macro_v1", "fps": 1.0, "window_seconds": 0.0,
        "dataset": Source(name="t", license="", citation="", obtain=""), "split_sha256": "s", "prompts_name": "p",
        "prompts_author": "", "prompts_date": "", "prompts_sha256": "", "model_name": "m", "weights_sha256": "w",
        "code_version": "0", "seed": 0, "bootstrap_samples": 64, "chance_samples": 5,
    }  # fmt: skip
    return Provenance(**{**given, **changes})


def result(
    seed: int = 0, videos: int = 6, wrong: float = 0.4, *, smoothed: bool = False, **changes: object
) -> PhaseResult:
    rng = np.random.default_rng(seed)
    lines, clips = [], []
    for number in range(videos):
        truth = np.repeat(np.arange(3), 8 + number)
        guess = np.where(rng.random(len(truth)) < wrong, rng.integers(0, 3, len(truth)), truth)
        others = {
            name: Prediction(
                ids_t=np.where(rng.random(len(truth)) < share, guess, truth),
                confidence_t=rng.random(len(truth)).round(6),
            )
            for name, share in (("causal", 0.5), ("offline", 0.2))
            if smoothed
        }
        lines.append(
            Timeline(
                video_id=f"v{number}",
                seconds_t=np.arange(float(len(truth))),
                truth_t=truth,
                predicted_t=guess,
                confidence_t=rng.random(len(truth)).round(6),
                scores_tc=np.eye(len(CLASSES), dtype=np.float32)[guess],
                **others,
            )
        )
        span = {"start_seconds": 0.0, "end_seconds": 8.0, "label": "incision"}
        clips.append(Clip(video_id=f"v{number}", rank=1 + number % 3, **span))
    surgeons = {line.video_id: {"surgeon": "AB"[place % 2], "site": "S"} for place, line in enumerate(lines)}
    if smoothed:
        changes = {"smoothing": SmoothingConfig(causal=Causal.MEDIAN, offline=Offline.VITERBI), **changes}
    throughput = Throughput(frames=1, video_seconds=1.0, wall_seconds=1.0)
    return phase_result(provenance(**changes), throughput, CLASSES, lines, clips=clips, styles={}, attributes=surgeons)


def presence(seed: int = 0, videos: int = 4, **changes: object) -> PresenceResult:
    rng = np.random.default_rng(seed)
    cells = {}
    for number in range(videos):
        present = (rng.random((20 + number, 3)) < (0.3, 0.5, 0.0)).astype(np.float64)
        present[0, 0] = np.nan
        scores = (rng.normal(size=present.shape) + np.nan_to_num(present)).astype(np.float32)
        seconds = np.arange(len(present)) / 3
        video = VideoScores(video_id=f"v{number}", seconds_t=seconds, scores_tc=scores, present_tc=present)
        cells[video.video_id] = presence_score(video, PresenceThreshold.MEAN_PROMPT)
    return presence_result(
        provenance(protocol="instrument_video_map", **changes),
        Throughput(frames=1, video_seconds=1.0, wall_seconds=1.0),
        INSTRUMENTS,
        cells,
        threshold=PresenceThreshold.MEAN_PROMPT,
        styles={},
    )
