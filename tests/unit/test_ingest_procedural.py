"""Which sentences describe the operation: measured on hand labels of real speech, and any classifier can take over."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ingest.config.text import FilterConfig
from ingest.records import Segment
from ingest.text.procedural import SentenceFilter, build_filter, keep_procedural, read_examples

LABELS = Path(__file__).parents[1] / "golden" / "procedural_labels.csv"
CLEAR = [
    ("The capsulorhexis is completed with the forceps.", True),
    ("The gallbladder is dissected off the liver bed with the hook.", True),
    ("Dear colleagues, thanks for your attention and goodbye.", False),
    ("He is fifty years old and has had diabetes for a decade.", False),
]


@pytest.fixture(scope="module")
def default() -> SentenceFilter:
    return build_filter(FilterConfig())


class Fixed:
    """Gives each text the number that it is."""

    def scores(self, texts: list[str]) -> list[float]:
        return [float(text) for text in texts]


def test_the_split_keeps_every_sentence_and_says_why() -> None:
    said = [Segment(start_seconds=float(n), end_seconds=n + 1.0, text=text) for n, text in enumerate(["0.9", "0.2"])]
    split = keep_procedural(said, Fixed(), 0.5)  # type: ignore[arg-type]
    assert split.accepted == (said[0],)
    (refused,) = split.rejected
    assert (refused.text, refused.start_seconds, refused.reason) == (
        "0.2",
        1.0,
        "not about the operation: 0.20, expected 0.50",
    )


def test_clear_sentences_alone(default: SentenceFilter) -> None:
    assert default.scores([]) == []
    for text, procedural in CLEAR:
        (score,) = default.scores([text])
        assert (score >= 0.5) == procedural, (text, score)


def test_case_and_stops_do_not_change_the_judgement(default: SentenceFilter) -> None:
    texts = [text for text, _ in CLEAR]
    assert default.scores(texts) == default.scores([text.upper().rstrip(".") for text in texts])


def test_two_builds_agree_and_batches_do_not_matter(default: SentenceFilter) -> None:
    texts = [text for text, _ in CLEAR] * 3
    assert default.scores(texts) == build_filter(FilterConfig()).scores(texts)
    np.testing.assert_allclose(default.scores(texts), build_filter(FilterConfig(batch_size=5)).scores(texts), atol=1e-4)


def test_neighbours_count_by_their_weight(default: SentenceFilter) -> None:
    texts = [text for text, _ in CLEAR]
    alone = build_filter(FilterConfig(context=0.0))
    apart = [alone.scores([text])[0] for text in texts]
    np.testing.assert_allclose(alone.scores(texts), apart, atol=1e-5)
    odds = np.log(np.array(apart) / (1 - np.array(apart)))
    padded = np.concatenate([odds[:1], odds, odds[-1:]])
    expected = [(padded[n + 1] + 0.25 * (padded[n] + padded[n + 2])) / 1.5 for n in range(len(odds))]
    np.testing.assert_allclose(default.scores(texts), 1 / (1 + np.exp(-np.array(expected))), atol=1e-4)


def test_shipped_examples_are_many_and_distinct() -> None:
    procedural, other = read_examples("")
    assert min(len(procedural), len(other)) >= 120
    assert len({*procedural, *other}) == len(procedural) + len(other)


@pytest.mark.parametrize("content", ["procedural: [a]\n", "- a\n", "procedural: [a]\nother: [1]\n", "a: [", "\xff"])
def test_malformed_examples_are_told_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"^filter\.examples: .*mine\.yaml") as told:
        read_examples(str(path))
    assert "\n" not in str(told.value)


def test_no_model_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no readable config\.json"):
        build_filter(FilterConfig(model=str(tmp_path)))
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}')
    with pytest.raises(ValueError, match="cannot be loaded") as told:
        build_filter(FilterConfig(model=str(tmp_path)))
    assert "\n" not in str(told.value)


def _classifier(folder: Path, labels: list[str]) -> None:
    """A random classifier over a small vocabulary in the format that classifiers are released in."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "the", "lens", "cut", "we"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = BertForSequenceClassification(
            BertConfig(
                vocab_size=len(words),
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                initializer_range=1.0,
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
            )
        )
    network.save_pretrained(folder)


def test_any_classifier_folder_takes_over(tmp_path: Path) -> None:
    _classifier(tmp_path / "judge", ["greeting", "history", "procedural"])
    folder = str(tmp_path / "judge")
    texts = ["the lens", "we cut the lens", "a"]
    each = [
        build_filter(FilterConfig(model=folder, positive=label, context=0.0)).scores(texts)
        for label in ("greeting", "history", "procedural")
    ]
    np.testing.assert_allclose(np.sum(each, axis=0), 1.0, atol=1e-5)
    assert build_filter(FilterConfig(model=folder, context=0.0)).scores(texts) == each[2]
    assert len({round(score, 6) for score in each[2]}) == 3
    with pytest.raises(ValueError, match=r"filter\.positive: .* expected one of greeting, history, procedural"):
        build_filter(FilterConfig(model=folder, positive="surgery"))


def test_labels_are_of_the_right_form() -> None:
    with LABELS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 150
    assert len({(row["file"], row["row"]) for row in rows}) == len(rows)
    assert {row["label"] for row in rows} == {"0", "1"}
    assert {row["split"] for row in rows} == {"development", "held_out"}


def test_real_transcripts_beat_keeping_everything(real_data: Path, default: SentenceFilter) -> None:
    measured = measure(real_data / "narrations", default, "development")
    assert measured["f1"] >= 0.88
    assert measured["f1"] >= measured["f1_keep_all"] + 0.05
    assert measured["auc"] >= 0.82


def measure(folder: Path, judge: SentenceFilter, split: str, threshold: float = 0.5) -> dict[str, float]:
    """Precision, recall, F1 and AUC over the rows of `split`, and the F1 of keeping everything."""
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    truth: list[int] = []
    scores: list[float] = []
    with LABELS.open(newline="") as file:
        labels = list(csv.DictReader(file))
    for name in sorted({row["file"] for row in labels}):
        with (folder / name).open(newline="") as file:
            judged = judge.scores([row["text"] for row in csv.DictReader(file)])
        for row in labels:
            if (row["file"], row["split"]) == (name, split):
                truth.append(int(row["label"]))
                scores.append(judged[int(row["row"])])
    kept = np.array(scores) >= threshold
    precision, recall, f1, _ = precision_recall_fscore_support(truth, kept, average="binary")
    share = float(np.mean(truth))
    found = {"precision": precision, "recall": recall, "f1": f1, "auc": roc_auc_score(truth, scores)}
    return {**{name: float(value) for name, value in found.items()}, "f1_keep_all": 2 * share / (1 + share)}
