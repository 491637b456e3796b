"""What holds for every video that is smoothed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.smoothing import causal_prediction, forward_filter, log_softmax, offline_prediction
from ophclip.evaluation.transitions import sticky
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig

WAYS = tuple(way for way in Causal if way is not Causal.NONE)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WAYS), st.floats(1, 30), st.integers(2, 60), st.integers(1, 5), st.data())
def test_the_future_changes_nothing_that_is_predicted_causally(
    way: Causal, seconds: float, frames: int, classes: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    scores = rng.standard_normal((frames, classes))
    now, left = data.draw(st.integers(1, frames - 1)), data.draw(st.integers(0, 40))
    other = np.concatenate([scores[:now], 100 * rng.standard_normal((left, classes))])
    config, chain = SmoothingConfig(causal=way, seconds=seconds), sticky(classes, 1.0, seconds)
    one, two = (causal_prediction(given, 10.0, 1.0, config, chain) for given in (scores, other))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.ids_t[:now], two.ids_t[:now])
    np.testing.assert_array_equal(one.confidence_t[:now], two.confidence_t[:now])


@settings(max_examples=40, deadline=None)
@given(frames=st.integers(1, 50), classes=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_where_all_phases_follow_alike_nothing_is_smoothed(frames: int, classes: int, seed: int) -> None:
    scores = np.random.default_rng(seed).standard_normal((frames, classes))
    # Staying as likely as moving to any other: the frames are independent.
    chain = sticky(classes, 1.0, classes / max(classes - 1, 1))
    emission = log_softmax(5 * scores)
    np.testing.assert_allclose(forward_filter(emission, chain), emission, atol=1e-9)
    found = offline_prediction(scores, 5.0, SmoothingConfig(offline=Offline.VITERBI), chain)
    assert found is not None
    np.testing.assert_array_equal(found.ids_t, scores.argmax(axis=1))


def test_the_longer_phases_last_the_fewer_there_are() -> None:
    scores = np.random.default_rng(0).standard_normal((400, 4))
    config = SmoothingConfig(causal=Causal.HMM, offline=Offline.VITERBI)
    changes = []
    for dwell in (2.0, 20.0, 2000.0):
        both = (
            causal_prediction(scores, 2.0, 1.0, config, sticky(4, 1.0, dwell)),
            offline_prediction(scores, 2.0, config, sticky(4, 1.0, dwell)),
        )
        changes.append([np.count_nonzero(np.diff(found.ids_t)) for found in both if found is not None])
    assert (np.diff(changes, axis=0) < 0).all()
    assert min(changes[0]) > 50
    assert changes[-1][1] < changes[0][1] / 10


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"causal": Causal.HMM, "seconds": 0}, r"zeroshot\.smoothing\.seconds: must be positive"),
        ({"pseudo_count": 0.0}, r"zeroshot\.smoothing\.pseudo_count: must be positive"),
        ({"transitions": "t.csv"}, r"zeroshot\.smoothing\.transitions: set causal=hmm or offline=viterbi"),
    ],
)
def test_options_that_contradict_each_other_are_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SmoothingConfig(**given)


def test_a_window_into_the_future_is_not_causal() -> None:
    with pytest.raises(ValueError, match=r"zeroshot\.smoothing\.causal: a window reaches into the future"):
        ZeroShotConfig(window_seconds=4, smoothing=SmoothingConfig(causal=Causal.MEDIAN))
    ZeroShotConfig(window_seconds=4, smoothing=SmoothingConfig(offline=Offline.VITERBI))
    with pytest.raises(ValueError, match=r"zeroshot\.smoothing\.dwell_seconds: must not be shorter than a frame"):
        ZeroShotConfig(smoothing=SmoothingConfig(offline=Offline.VITERBI, dwell_seconds=0.5))
