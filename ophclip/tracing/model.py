"""The model behind an answer: its weights, what it was trained on, and the sentences that a picture was compared with.

Shapes: C classes, D width of the common space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.shards import sha256_of
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import WRITTEN_STYLES, PromptSet, Style
from ophclip.evaluation.reading import PHASES, Written
from ophclip.evaluation.runs import prompts_for
from ophclip.evaluation.vectors import grid_seconds, unit, window_spans
from ophclip.models.description import WEIGHTS_NAME, is_foreign_folder, read_description
from ophclip.models.training_record import read_training_record
from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
from ophclip.search.queries import query_wordings, wordings_vector
from ophclip.tracing.origins import Asked, Origin
from ophclip.tracing.records import Link, Standing, absent, broken, holds

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded

_SAME_SCORE = 1e-3
"""A hit's score that was computed again on another processor."""


def model_link(origin: Origin) -> Link:
    """The bundle, its weights read again, and what its training saw."""
    known = {"name": origin.model, "weights_sha256": origin.weights_sha256}
    bundle = origin.bundle
    if bundle is None:
        return broken("model", "it is not said where the bundle lies; name it with --bundle", **known)
    known["bundle"] = str(bundle)
    try:
        described, record = read_description(bundle), read_training_record(bundle)
    except ValueError as error:
        return broken("model", f"{error}; name the bundle with --bundle if it was moved", **known)
    found = described.weights_sha256 if is_foreign_folder(bundle) else sha256_of(bundle / WEIGHTS_NAME)
    if found != origin.weights_sha256:
        return broken(
            "model", f"{bundle} holds weights with SHA-256 {found}; name the right one with --bundle", **known
        )
    training: dict[str, Any] = {"trained_on": "the bundle does not say"}
    if record is not None:
        training = {
            "trained_on": f"{len(record.videos)} videos of the corpus with fingerprint {record.corpus}",
            "saw_this_video": origin.sha256 in record.videos.values() if origin.sha256 else "unknown",
            "options": _flat(record.options),
        }
    return holds("model", **known, **training)


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
    loaded = _loaded(origin)
    with closing(Catalogue.open(asked.place / CATALOGUE_NAME)) as catalogue:
        vectors_wd = np.stack([catalogue.window_vector(one) for one in windows]).astype(np.float64)
    best_d = vectors_wd[int((vectors_wd @ wordings_vector(loaded, wordings)).argmax())]
    score = float(best_d @ wordings_vector(loaded, wordings))
    facts = {"query": asked.query, "score_again": score, "sentences": _scores(loaded, best_d, sentences)}
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
        chosen = prompts_for(origin.given.dataset, str(beside) if spec and beside.is_file() else spec)
        chosen = chosen.for_labels(result.classes)
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
    if not scored or origin.path is None or not rows:
        return holds("sentences", **facts, sentences=rows)
    loaded = _loaded(origin)
    second = float(origin.link.facts.get("second", asked.second))
    picture_d = _picture(loaded, origin.path, second, result)
    scores = _scores(loaded, picture_d, [row["sentence"] for row in rows])
    facts["sentences"] = [{**row, "score": one["score"]} for row, one in zip(rows, scores, strict=True)]
    ensemble_c = _ensemble(loaded, chosen) @ picture_d
    facts["ensemble"] = {entry.label: float(ensemble_c[chosen.classes.index(entry)]) for entry in shown}
    if result.task == PHASES:
        again = result.classes[int(ensemble_c.argmax())]
        facts["predicted_again"] = again
        if again != origin.link.facts["predicted"]:
            told = f"{origin.link.facts['predicted']} was predicted, computed again it is {again}"
            return broken("sentences", told, **facts)
    return holds("sentences", **facts)


def _picture(loaded: Loaded, path: Path, second: float, result: Written) -> Floats:
    """The vector [D] that was compared at a second: of one picture, or pooled over the window around it."""
    from ingest.media import frame_blocks, probe
    from ophclip.models.embed import embed_frames, pool_spans

    fps, window_seconds = result.provenance.fps, result.provenance.window_seconds
    grid_t = grid_seconds(probe(path).duration_seconds, fps)
    place = int(np.abs(grid_t - second).argmin())
    first, stop = window_spans(len(grid_t), fps, window_seconds)[place]
    side_px = loaded.config.visual.image_size_px
    blocks = frame_blocks(path, grid_t[first:stop], stop - first, short_side_px=side_px)
    vectors_td = np.concatenate([embed_frames(loaded.model, loaded.preprocess, block.pixels_thwc) for block in blocks])
    return np.asarray(pool_spans(loaded.model, vectors_td, [(0, len(vectors_td))])[0].astype(np.float64))


def _ensemble(loaded: Loaded, prompts: PromptSet) -> Floats:
    """Class vectors [C, D] as the evaluation makes them."""
    from ophclip.evaluation.embedding import EmbeddingStore, class_vectors

    return class_vectors(EmbeddingStore(model=loaded), prompts, Style.ENSEMBLE)


def _scores(loaded: Loaded, picture_d: Floats, sentences: Sequence[str]) -> list[dict[str, Any]]:
    from ophclip.models.embed import embed_texts

    texts_nd = unit(embed_texts(loaded.model, loaded.tokenizer, list(sentences)).astype(np.float64))
    return [
        {"sentence": sentence, "score": float(score)}
        for sentence, score in zip(sentences, texts_nd @ picture_d, strict=True)
    ]


def _loaded(origin: Origin) -> Loaded:
    from ophclip.evaluation.embedding import default_device
    from ophclip.models.bundle import load_bundle

    assert origin.bundle is not None
    return load_bundle(origin.bundle, device=default_device())


def is_scored(*links: Link) -> bool:
    """Whether everything that a score needs holds."""
    return all(link.standing is Standing.HOLDS for link in links)


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in options.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        flat.update(inner)
    return flat
