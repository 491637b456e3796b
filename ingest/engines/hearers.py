"""An ingest on a Ray cluster: workers that decode beside actors that only hear, so that no GPU waits for a decoder.

A worker has one stretch of sound heard at a time, so that no more of it waits than there are workers; its pictures stay
where they were decoded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray

from ingest.config import IngestConfig
from ingest.engines.ray import joined, pinned, resources, run_ray
from ingest.shift import Crew
from ingest.speech.engines import Heard
from ingest.speech.language import Windows
from ingest.speech.transcribe import build_transcriber
from ingest.stage import Result
from ingest.text.lexicon import load_lexicon
from ingest.text.tools import hot_words
from ingest.trade import Ingesting
from ingest.viewed import Task


@contextmanager
def hired(config: IngestConfig, corpus: Path) -> Iterator[Crew[Task, Result]]:
    """Those who ingest on the Ray at `ray.address`, or on one that is started here, for as long as the block runs.

    Raises ValueError in one line if there is none, or the weights cannot be loaded.
    """
    with joined(config.ray.address):
        hearers = _hearers(config)
        try:
            threads = 1 if hearers else config.asr.threads
            free = resources().get("CPU", 1.0) - sum(cpus for _actor, cpus in hearers)
            transcriber = RemoteTranscriber([actor for actor, _cpus in hearers]) if hearers else None
            yield Crew(
                engine=partial(run_ray, threads, 0.0),
                workers=config.workers or max(1, int(free / threads)),
                trade=Ingesting(config, corpus, transcriber),
            )
        finally:
            for actor, _cpus in hearers:
                ray.kill(actor)


def _hearers(config: IngestConfig) -> list[tuple[Any, int]]:
    """Actors that hear, ready to, and the CPUs that each takes; none where the workers hear for themselves."""
    options, threads = config.ray, config.asr.threads
    gpus = resources().get("GPU", 0.0)
    share = options.gpus_per_transcriber if gpus else 0.0
    count = options.transcribers or (int(gpus / share) if gpus else 0)
    if count * share > gpus:
        raise ValueError(f"ray.transcribers: {count} of {share:g} GPU each given, expected what {gpus:g} GPUs hold")
    cpus = 0 if gpus else threads
    made = _REMOTE_HEARER.options(num_gpus=share, num_cpus=cpus, runtime_env=pinned(threads))
    actors = [made.remote(config) for _ in range(count)]
    for complaint in ray.get([actor.complaint.remote() for actor in actors]):
        if complaint:
            raise ValueError(complaint)
    return [(actor, cpus) for actor in actors]


class Hearer:
    """An actor that holds a recogniser."""

    def __init__(self, config: IngestConfig) -> None:
        self._complaint = ""
        terms = list(hot_words(config, load_lexicon(config.lexicons)))
        try:
            self._transcriber = build_transcriber(replace(config.asr, terms=terms))
        except ValueError as error:
            self._complaint = str(error)

    def complaint(self) -> str:
        """Why it cannot hear, empty if it can."""
        return self._complaint

    def hear(self, windows: Windows, languages: Sequence[str]) -> list[Heard]:
        """As `Transcriber.hear`."""
        return self._transcriber.hear([*windows], languages)

    def languages(self, windows: Windows) -> tuple[str, ...]:
        """As `Transcriber.languages`."""
        return self._transcriber.languages([*windows])


class RemoteTranscriber:
    """Has sound heard by actors in turn, and waits for the answer."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = itertools.cycle(actors)

    def hear(self, windows: Windows, languages: Sequence[str] = ()) -> list[Heard]:
        """As `Transcriber.hear`."""
        heard: list[Heard] = ray.get(next(self._actors).hear.remote([*windows], languages))
        return heard

    def languages(self, windows: Windows) -> tuple[str, ...]:
        """As `Transcriber.languages`."""
        found: tuple[str, ...] = ray.get(next(self._actors).languages.remote([*windows]))
        return found


_REMOTE_HEARER: Any = ray.remote(max_restarts=-1, max_task_retries=0)(Hearer)
