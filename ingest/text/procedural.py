"""Which sentences describe the operation: what is done or seen, not greetings, history, reasoning or outlook.

By default a small text encoder with a logistic head that is fitted at start on example sentences (`filter.examples`).
A folder with a sequence classifier (`filter.model`) is taken as it is. Shapes: B texts, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from ingest.config.text import FilterConfig
from ingest.parsing import parse_json, parse_yaml
from ingest.records import Rejection, Segment
from ingest.text.clean import Cleaned
from ingest.weights import resolve_weights

_MOST_TOKENS = 128
_SMALLEST = 1e-6
_KINDS = ("procedural", "other")


class SentenceFilter(Protocol):
    """Judges the sentences of one video."""

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Probability that each text describes the operation. `texts` are in the video's order: neighbours count."""


def build_filter(config: FilterConfig) -> SentenceFilter:
    """The filter that `filter.model` names, on the CPU; weights are read from safetensors only.

    Raises:
        ValueError: no such folder, no model in it, an unknown `filter.positive`, malformed examples.
    """
    folder = resolve_weights(config.model)
    if any(name.endswith("ForSequenceClassification") for name in _architectures(folder)):
        return _Smoothed(_Classifier(folder, config), config.context)
    return _Smoothed(_FittedHead(folder, config), config.context)


def keep_procedural(sentences: Sequence[Segment], judge: SentenceFilter, threshold: float) -> Cleaned:
    """Split one video's sentences (in order) at `threshold`; what is refused says so with its score."""
    scores = judge.scores([sentence.text for sentence in sentences])
    accepted = tuple(one for one, score in zip(sentences, scores, strict=True) if score >= threshold)
    rejected = tuple(
        Rejection(
            start_seconds=one.start_seconds,
            end_seconds=one.end_seconds,
            text=one.text,
            reason=f"not about the operation: {score:.2f}, expected {threshold:.2f}",
        )
        for one, score in zip(sentences, scores, strict=True)
        if score < threshold
    )
    return Cleaned(accepted=accepted, rejected=rejected)


class _Odds(Protocol):
    def log_odds(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """[B] log odds of each text by itself."""


class _Smoothed:
    """Gives each sentence a share of its neighbours' log odds: speech that describes comes in stretches."""

    def __init__(self, odds: _Odds, context: float) -> None:
        self._odds = odds
        self._context = context

    def scores(self, texts: Sequence[str]) -> list[float]:
        """See SentenceFilter."""
        if not texts:
            return []
        own_b = self._odds.log_odds([_plain(text) for text in texts])
        padded = np.pad(own_b, 1, mode="edge")
        mixed_b = (own_b + self._context * (padded[:-2] + padded[2:])) / (1.0 + 2.0 * self._context)
        return [float(score) for score in 1.0 / (1.0 + np.exp(-np.clip(mixed_b, -60.0, 60.0)))]


def _plain(text: str) -> str:
    """Recognisers differ in case and final stops; the judgement shall not."""
    return text.strip().rstrip(".!…").lower()


class _FittedHead:
    """Mean-pooled, normalised encoder vectors and a logistic regression over them."""

    def __init__(self, folder: Path, config: FilterConfig) -> None:
        from sklearn.linear_model import LogisticRegression

        self._network, self._tokenizer = _loaded(folder, "AutoModel")
        self._batch_size = config.batch_size
        procedural, other = read_examples(config.examples)
        head = LogisticRegression(C=config.inverse_regularisation, max_iter=1000)
        head.fit(self._vectors([*procedural, *other]), [1] * len(procedural) + [0] * len(other))
        self._head = head

    def log_odds(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See _Odds."""
        return np.asarray(self._head.decision_function(self._vectors(texts)), dtype=np.float64)

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = [_pooled(self._network, self._tokenizer, batch) for batch in _batches(texts, self._batch_size)]
        return np.concatenate(vectors)


class _Classifier:
    """A sequence classifier's probability of one label against all others."""

    def __init__(self, folder: Path, config: FilterConfig) -> None:
        self._network, self._tokenizer = _loaded(folder, "AutoModelForSequenceClassification")
        self._batch_size = config.batch_size
        self._label = _label(self._network.config.id2label, config.positive, folder)

    def log_odds(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See _Odds."""
        return np.concatenate([self._batch(batch) for batch in _batches(texts, self._batch_size)])

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float64]:
        import torch

        with torch.inference_mode():
            logits_bk = self._network(**_tokens(self._tokenizer, texts)).logits.double()
        if logits_bk.shape[1] == 1:
            return np.asarray(logits_bk[:, 0].numpy())
        share_b = logits_bk.softmax(dim=1)[:, self._label].clamp(_SMALLEST, 1.0 - _SMALLEST)
        return np.asarray(share_b.logit().numpy())


def read_examples(path: str) -> tuple[list[str], list[str]]:
    """Example sentences (procedural, other) of a YAML file, an empty path meaning the shipped ones.

    Raises:
        ValueError: the file is missing or holds anything but two lists of sentences.
    """
    shipped = resources.files("ingest.text") / "procedural_examples.yaml"
    try:
        text = Path(path).read_text(encoding="utf-8") if path else shipped.read_text(encoding="utf-8")
        listed = parse_yaml(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"filter.examples: {path} cannot be read ({first}); expected YAML with two lists") from error
    if not isinstance(listed, dict) or not all(_is_texts(listed.get(kind)) for kind in _KINDS):
        raise ValueError(f"filter.examples: {path} needs the lists `procedural` and `other`, sentences in each")
    procedural, other = ([_plain(text) for text in listed[kind]] for kind in _KINDS)
    return procedural, other


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) and text.strip() for text in value)


def _architectures(folder: Path) -> list[str]:
    try:
        described = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        return [str(name) for name in described.get("architectures") or ()]
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"filter.model: {folder} has no readable config.json; expected a Hugging Face folder"
        ) from error


def _label(names: dict[int, str], positive: str, folder: Path) -> int:
    if not positive:
        return max(names)
    found = [number for number, name in names.items() if name.lower() == positive.lower()]
    if not found:
        known = ", ".join(names[number] for number in sorted(names))
        raise ValueError(f"filter.positive: {folder} has no label {positive!r}, expected one of {known}")
    return found[0]


def _loaded(folder: Path, kind: str) -> tuple[Any, Any]:
    import transformers

    try:
        with _without_progress_bar():
            network = getattr(transformers, kind).from_pretrained(folder, local_files_only=True, use_safetensors=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"filter.model: {folder} cannot be loaded ({first}); expected config.json, tokenizer and model.safetensors"
        ) from error
    return network.eval(), tokenizer


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    from transformers.utils import logging as untyped

    logging: Any = untyped
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _tokens(tokenizer: Any, texts: Sequence[str]) -> Any:
    return tokenizer(list(texts), padding=True, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt")


def _pooled(network: Any, tokenizer: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    """[B, D] mean of the token vectors, of length one."""
    import torch

    tokens = _tokens(tokenizer, texts)
    with torch.inference_mode():
        hidden_bld = network(**tokens).last_hidden_state
        mask_bl1 = tokens["attention_mask"][..., None]
        mean_bd = (hidden_bld * mask_bl1).sum(dim=1) / mask_bl1.sum(dim=1).clamp(min=1)
        return np.asarray(torch.nn.functional.normalize(mean_bd, dim=1).numpy())
