"""One thread encodes for all: same vectors as a direct call, bounded, and nobody pays for another's fault."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from ophclip.models.bundle import Loaded
from ophclip.serving.encoder import BatchedEncoder
from ophclip.serving.metrics import Metrics
from ophclip.serving.refusing import RefusedError
from ophclip.serving_options import ServingConfig


class Counting:
    """A model whose vector of a text is its length and first letter; it tells what it was asked for at once."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.frames: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.began = threading.Event()

    def embed_texts(self, texts: list[str]) -> NDArray[np.float32]:
        self.began.set()
        assert self.open.wait(10)
        self.batches.append(list(texts))
        if "poison" in texts:
            raise ValueError("poison")
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)

    def embed_frames(self, frames: list[NDArray[np.uint8]], batch: int) -> NDArray[np.float32]:
        self.frames.append(len(frames))
        assert batch == len(frames)
        return np.array([[frame.mean(), frame.shape[0]] for frame in frames], dtype=np.float32)


@pytest.fixture
def model() -> Counting:
    return Counting()


@pytest.fixture
def encoder(model: Counting) -> Iterator[BatchedEncoder]:
    config = ServingConfig(queue=40, batch_texts=16, batch_frames=4, cached_texts=8)
    made = BatchedEncoder(cast(Loaded, cast(Any, model)), config, Metrics())
    yield made
    model.open.set()
    made.close()


def held_up(model: Counting, encoder: BatchedEncoder, pool: ThreadPoolExecutor) -> None:
    """Occupy the encoder until `model.open` is set."""
    model.open.clear()
    model.began.clear()
    pool.submit(encoder.embed_texts, ["first"])
    assert model.began.wait(10)


def waiting(encoder: BatchedEncoder, count: int) -> None:
    """Until so many texts wait."""
    for _ in range(1000):
        if len(encoder._texts.waiting) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{len(encoder._texts.waiting)} texts wait")


def test_what_waits_is_one_batch_and_everyone_gets_their_own(model: Counting, encoder: BatchedEncoder) -> None:
    with ThreadPoolExecutor(40) as pool:
        held_up(model, encoder, pool)
        asked = [[f"text {number}", "shared"] for number in range(16)]
        answers = [pool.submit(encoder.embed_texts, texts) for texts in asked]
        waiting(encoder, 32)
        model.open.set()
        for texts, answer in zip(asked, answers, strict=True):
            np.testing.assert_array_equal(answer.result(10), [[len(text), ord(text[0])] for text in texts])
    assert [len(batch) for batch in model.batches[1:]] == [9, 9]
    assert all(len(batch) == len(set(batch)) for batch in model.batches)


def test_texts_asked_for_lately_are_not_encoded_again(model: Counting, encoder: BatchedEncoder) -> None:
    first = encoder.embed_texts(["a", "b", "a"])
    np.testing.assert_array_equal(first, encoder.embed_texts(["a", "b", "a"]))
    assert model.batches == [["a", "b"]]
    encoder.embed_texts([f"other {number}" for number in range(7)])
    encoder.embed_texts(["a"])
    encoder.embed_texts(["b"])
    assert model.batches[2:] == [["a"], ["b"]]


def test_a_text_that_breaks_the_model_breaks_alone(model: Counting, encoder: BatchedEncoder) -> None:
    with ThreadPoolExecutor(8) as pool:
        held_up(model, encoder, pool)
        answers = {name: pool.submit(encoder.embed_texts, [name]) for name in ("good", "poison", "better")}
        waiting(encoder, 3)
        model.open.set()
        assert answers["good"].result(10).tolist() == [[4, ord("g")]]
        assert answers["better"].result(10).tolist() == [[6, ord("b")]]
        with pytest.raises(ValueError, match="poison"):
            answers["poison"].result(10)
    assert encoder.embed_texts(["after"]).tolist() == [[5, ord("a")]]


def test_more_than_may_wait_is_refused_and_the_rest_is_answered(model: Counting, encoder: BatchedEncoder) -> None:
    with ThreadPoolExecutor(80) as pool:
        held_up(model, encoder, pool)
        answers = [pool.submit(encoder.embed_texts, [f"text {number}"]) for number in range(40)]
        waiting(encoder, 40)
        with pytest.raises(RefusedError) as refused:
            encoder.embed_texts(["one more"])
        assert refused.value.status_code == 429
        assert refused.value.headers == {"Retry-After": "1"}
        model.open.set()
        assert all(answer.result(10).shape == (1, 2) for answer in answers)
    assert max(len(batch) for batch in model.batches) == 16


def test_texts_come_between_the_frames_of_a_long_clip(model: Counting, encoder: BatchedEncoder) -> None:
    frames = [np.full((4, 4, 3), number, dtype=np.uint8) for number in range(10)]
    found = encoder.embed_frames(iter(frames))
    np.testing.assert_array_equal(found[:, 0], range(10))
    assert model.frames == [4, 4, 2]


def test_the_end_answers_what_waits_and_refuses_what_comes(model: Counting) -> None:
    encoder = BatchedEncoder(cast(Loaded, cast(Any, model)), ServingConfig(), Metrics())
    with ThreadPoolExecutor(8) as pool:
        held_up(model, encoder, pool)
        answers = [pool.submit(encoder.embed_texts, [f"text {number}"]) for number in range(4)]
        waiting(encoder, 4)
        ended = pool.submit(encoder.close)
        model.open.set()
        ended.result(10)
        assert all(answer.result(10).shape == (1, 2) for answer in answers)
    with pytest.raises(RefusedError) as refused:
        encoder.call(lambda: None)
    assert refused.value.status_code == 503
