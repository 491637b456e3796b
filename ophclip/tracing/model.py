"""The model behind an answer: its weights, what it was trained on, and the sentences that a picture was compared with.

Shapes: C classes, D width of the common space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ingest.media import frame_blocks, probe
from ingest.shards import sha256_of
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.embedding_folder import EmbeddingFolder, is_embedding_folder, read_embedding_folder
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.opening import opened
from ophclip.evaluation.prompts import WRITTEN_STYLES, PromptSet, Style
from ophclip.evaluation.reading import FILE_TASKS, PHASES, Written
from ophclip.evaluation.runs import prompts_for
from ophclip.evaluation.vectors import grid_seconds, window_spans
from ophclip.models.description import WEIGHTS_NAME, is_foreign_folder, read_description
from ophclip.models.training_record import TrainingRecord, read_training_record
from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
from ophclip.search.queries import query_wordings, wordings_vector
from ophclip.tracing.origins import Asked, Origin
from ophclip.tracing.records import Link, Standing, absent, broken, holds

_SAME_SCORE = 1e-3
"""A hit's score that was computed again on another processor."""


def model_link(origin: Origin) -> Link:
    """The model, its weights read again, and what its training saw."""
    known = {"name": origin.model, "weights_sha256": origin.weights_sha256}
    given = origin.bundle
    if given is None:
        return broken("model", "it is not said where the model lies; name it with --bundle", **known)
    known["place"] = str(given)
    try:
        found, record = _identity(given)
    except ValueError as error:
        return broken("model", f"{error}; name the model with --bundle if it was moved", **known)
    if found != origin.weights_sha256:
        return broken("model", f"{given} holds weights with SHA-256 {found}; name the right one with --bundle", **known)
    training: dict[str, Any] = {"trained_on": "the model does not say"}
    if record is not None:
        training = {
            "trained_on": f"{len(record.videos)} videos of the corpus with fingerprint {record.corpus}",
            "saw_this_video": origin.sha256 in record.videos.values() if origin.sha256 else "unknown",
            "options": _flat(record.options),
        }
    return holds("model", **known, **training)


def _identity(given: Path | str) -> tuple[str, TrainingRecord | None]:
    """SHA-256 of what is there, of a bundle without loading it, and what it was trained on."""
    if isinstance(given, Path) and not is_embedding_folder(given) and not is_foreign_folder(given):
        read_description(given)
        return sha256_of(given / WEIGHTS_NAME), read_training_record(given)
    return opened(given).weights_sha256, None


def sentences_link(asked: Asked, origin: Origin, *, scored: bool, prompts: str = "") -> Link:
    """What was compared, and how well each sentence fits; `scored` is whether bundle and file are what they were."""
    try:
        if origin.result is not None:
            return _of_classes(asked, origin, origin.result, scored=scored, prompts=prompts)
        if (asked.place / CATALOGUE_NAME).is_file():
            return _of_query(asked, origin, scored=scored)
    except ValueError as error:
        return broken("sentences", str(error))
    return absent("sentences", "the narration or title itself was compared; it stands among the samples")


def _of_query(asked: Asked, origin: Origin, *, scored: bool) -> Link:
    if not asked.query:
        return absent("sentences", "no query is known; give the hit as `ophclip search --json` prints it")
    wordings = query_wordings(asked.query)
    sentences = [sentence for group in wordings for sentence in group]
    windows = [one["id"] for one in origin.link.facts.get("windows", ())]
    if not scored or not windows:
        return holds("sentences", query=asked.query, sentences=sentences)
    store = _store(origin)
    query_d = wordings_vector(store.model, wordings)
    with closing(Catalogue.open(asked.place / CATALOGUE_NAME)) as catalogue:
        spans = [span for one in windows if (span := catalogue.span_named(one)) is not None]
        vectors_wd = np.stack([catalogue.vector(span) for span in spans]).astype(np.float64)
    best_d = vectors_wd[int((vectors_wd @ query_d).argmax())]
    score = float(best_d @ query_d)
    facts = {"query": asked.query, "score_again": score, "sentences": _scores(store, best_d, sentences)}
    if asked.score is not None and abs(asked.score - score) > _SAME_SCORE:
        return broken("sentences", f"the hit's score is {asked.score:.4f}, computed again {score:.4f}", **facts)
    return holds("sentences", **facts)


def _of_classes(asked: Asked, origin: Origin, result: Written, *, scored: bool, prompts: str) -> Link:
    about = result.provenance
    facts: dict[str, Any] = {
        "prompts": about.prompts_name,
        "author": about.prompts_author,
        "date": about.prompts_date,
        "prompts_sha256": about.prompts_sha256,
    }
    spec = prompts or origin.given.prompts
    beside = result.path.parent / spec
    try:
        chosen = _prompts(origin, str(beside) if spec and beside.is_file() else spec).for_labels(result.classes)
    except ValueError as error:
        return broken("sentences", f"{error}; name the prompts with --prompts", **facts)
    if chosen.sha256 != about.prompts_sha256:
        told = f"the prompts {chosen.name} have changed: SHA-256 {chosen.sha256}; name the former ones with --prompts"
        return broken("sentences", told, **facts)
    shown = [entry for entry in chosen.classes if entry.label in origin.classes]
    rows = [
        {"class": entry.label, "style": style.value, "sentence": text}
        for entry in shown for style in WRITTEN_STYLES for text in entry.sentences(style)
    ]  # fmt: skip
    if not scored or origin.path is None or not rows or result.task in FILE_TASKS:
        return holds("sentences", **facts, sentences=rows)
    store = _store(origin)
    second = float(origin.link.facts.get("second", asked.second))
    picture_d = _picture(store, origin.path, second, result)
    scores = _scores(store, picture_d, [row["sentence"] for row in rows])
    facts["sentences"] = [{**row, "score": one["score"]} for row, one in zip(rows, scores, strict=True)]
    ensemble_c = class_vectors(store, chosen, Style.ENSEMBLE) @ picture_d
    facts["ensemble"] = {entry.label: float(ensemble_c[chosen.classes.index(entry)]) for entry in shown}
    if result.task == PHASES:
        again = result.classes[int(ensemble_c.argmax())]
        facts["predicted_again"] = again
        if again != origin.link.facts["predicted"]:
            told = f"{origin.link.facts['predicted']} was predicted, computed again it is {again}"
            return broken("sentences", told, **facts)
    return holds("sentences", **facts)


def _prompts(origin: Origin, spec: str) -> PromptSet:
    """Those that were given, else those of a folder of vectors, else those shipped for the dataset."""
    folder = origin.bundle
    if not spec and isinstance(folder, Path) and is_embedding_folder(folder):
        own = read_embedding_folder(folder).prompts
        if own is not None:
            return own
    return prompts_for(origin.given.dataset, spec)


def _picture(store: EmbeddingStore, path: Path, second: float, result: Written) -> Floats:
    """The vector [D] that was compared at a second: of one picture, or pooled over the window around it."""
    fps, window_seconds = result.provenance.fps, result.provenance.window_seconds
    model = store.model
    if isinstance(model, EmbeddingFolder):
        embedded = model.video(path, fps)
        grid_t = embedded.seconds_t
    else:
        grid_t = grid_seconds(probe(path).duration_seconds, fps)
    place = int(np.abs(grid_t - second).argmin())
    first, stop = window_spans(len(grid_t), fps, window_seconds)[place]
    if isinstance(model, EmbeddingFolder):
        vectors_td = embedded.vectors_td[first:stop]
    else:
        blocks = frame_blocks(path, grid_t[first:stop], stop - first, short_side_px=model.frame_side_px)
        vectors_td = np.concatenate([model.embed_frames(block.pixels_thwc) for block in blocks])
    return np.asarray(model.pool_spans(vectors_td, [(0, len(vectors_td))])[0].astype(np.float64))


def _store(origin: Origin) -> EmbeddingStore:
    assert origin.bundle is not None
    return EmbeddingStore(model=opened(origin.bundle))


def _scores(store: EmbeddingStore, picture_d: Floats, sentences: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"sentence": sentence, "score": float(score)}
        for sentence, score in zip(sentences, store.texts(sentences) @ picture_d, strict=True)
    ]


def is_scored(*links: Link) -> bool:
    """Whether everything that a score needs holds."""
    return all(link.standing is Standing.HOLDS for link in links)


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in options.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        flat.update(inner)
    return flat
