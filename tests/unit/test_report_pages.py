"""Reports: nothing of a result becomes markup, the same input gives the same bytes, and what must be said is said."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from small_results import presence, result

from ophclip.cli import main
from ophclip.evaluation.clips import write_clips
from ophclip.evaluation.metrics import average_precision, precision_recall
from ophclip.evaluation.reading import read_result
from ophclip.evaluation.report.comparison import headline
from ophclip.evaluation.report.head import warnings_of
from ophclip.evaluation.report.page import Table
from ophclip.evaluation.report.phases import phase_warnings
from ophclip.evaluation.report.run import write_report
from ophclip.evaluation.report.text import latex_table, latex_text, markdown_table, markdown_text
from ophclip.evaluation.results import PhaseResult, PresenceResult, write_result
from ophclip.evaluation.scores import SCORES, VideoScores, write_scores
from ophclip.evaluation.timelines import write_timelines

WICKED = '<script>alert("1")</script> & $x^2$ | `a` \\input{x} 100 %'


def write_phases(folder: Path, found: PhaseResult, *, scores: bool = True) -> Path:
    """As `ophclip zeroshot` does, without its pictures."""
    write_timelines(folder / "predictions.csv", found.timelines, found.classes)
    write_clips(folder / "clips.csv", found.clips)
    write_result(folder / "result.json", found)
    if scores:
        rng = np.random.default_rng(0)
        kept = [
            VideoScores(
                video_id=line.video_id,
                seconds_t=line.seconds_t,
                scores_tc=rng.random((len(line.seconds_t), len(found.classes)), dtype=np.float32),
            )
            for line in found.timelines
        ]
        write_scores(folder / SCORES, kept)
    return folder


def write_presence(folder: Path, found: PresenceResult) -> Path:
    write_scores(folder / SCORES, [score.evidence for score in found.videos.values()])
    write_result(folder / "result.json", found)
    return folder


class _Page(HTMLParser):
    """What a browser would find: tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data

    def values(self, tag: str, name: str) -> list[str]:
        return [value for one, attribute, value in self.attributes if (one, attribute) == (tag, name)]

    def saved(self) -> dict[str, list[list[str]]]:
        """The tables that can be saved, by the name of the file."""
        addresses = [one for one in self.values("a", "href") if not one.startswith("#")]
        texts = [base64.b64decode(one.partition(",")[2]).decode() for one in addresses]
        return {
            name: list(csv.reader(io.StringIO(text)))
            for name, text in zip(self.values("a", "download"), texts, strict=True)
        }


def _report(out: Path, *places: Path) -> _Page:
    write_report(places, out)
    return _Page(out.read_text(encoding="utf-8"))


def _wicked(found: PhaseResult) -> PhaseResult:
    """A result in which everything that others name is wicked."""
    names = {line.video_id: f"{line.video_id} {WICKED}" for line in found.timelines}
    classes = (WICKED, *found.classes[1:])
    source = replace(found.provenance.dataset, name=WICKED, license=WICKED, citation=WICKED)
    swap = {found.classes[0]: WICKED}
    return replace(
        found,
        provenance=replace(found.provenance, dataset=source, model_name=WICKED, prompts_author=WICKED),
        classes=classes,
        class_f1={swap.get(name, name): one for name, one in found.class_f1.items()},
        videos={names[name]: one for name, one in found.videos.items()},
        attributes={names[name]: one for name, one in found.attributes.items()},
        timelines=tuple(replace(line, video_id=names[line.video_id]) for line in found.timelines),
        clips=tuple(replace(one, video_id=names[one.video_id], label=WICKED) for one in found.clips),
        groups={WICKED: {WICKED: found.groups["surgeon"]["A"]}},
    )


def test_a_page_is_one_file_and_nothing_in_a_result_becomes_markup(tmp_path: Path) -> None:
    folder = write_phases(tmp_path / "a", _wicked(result()))
    page = _report(tmp_path / "report.html", folder)
    assert not {"script", "iframe", "link", "object", "input"} & set(page.tags)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    addresses = [*page.values("img", "src"), *page.values("a", "href")]
    assert addresses
    assert all(address.startswith(("data:image/svg+xml;base64,", "data:text/csv;", "#")) for address in addresses)
    assert page.words.count(WICKED) > 10
    for source in page.values("img", "src"):
        drawing = base64.b64decode(source.partition(",")[2]).decode()
        assert "<script" not in drawing
        assert not re.search(r'href="(?!#|data:image)', drawing)
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown.replace("\\<script", "")
    widths = {line.replace("\\|", "").count("|") for line in markdown.splitlines() if line.startswith("| v0")}
    assert len(widths) == 1


def test_every_picture_has_words_and_the_numbers_behind_it(tmp_path: Path) -> None:
    page = _report(tmp_path / "report.html", write_phases(tmp_path / "a", result()))
    assert all(page.values("img", "alt"))
    assert len(page.values("img", "src")) == len(page.values("a", "download")) == page.tags.count("figure")
    tables = page.saved()
    matrix = np.array([row[1:] for row in tables["confusion_seconds.csv"][1:]], dtype=int)
    found = result()
    for row in range(3):
        for column in range(3):
            pairs = ((line.truth_t == row) & (line.predicted_t == column) for line in found.timelines)
            assert matrix[row, column] == sum(int(pair.sum()) for pair in pairs)
    risks = [float(row[1]) for row in tables["risk_coverage.csv"][1:]]
    assert risks[-1] == pytest.approx(1 - found.summary["accuracy"].mean, abs=1e-4)
    bins = [[float(cell or 0) for cell in row] for row in tables["reliability.csv"][1:]]
    seconds = sum(row[2] for row in bins)
    error = sum(row[2] * abs(row[4] - row[3]) for row in bins) / seconds
    assert error == pytest.approx(found.calibration["ece"].mean, abs=1e-4)
    assert page.values("th", "scope").count("col") > 20
    assert [tag for tag in page.tags if tag in ("h1", "h2", "h3")][:3] == ["h1", "h2", "h2"]


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [write_phases(tmp_path / name, result(seed=seed)) for seed, name in enumerate("ab")]
    for out in ("one", "two"):
        write_report(folders, tmp_path / out / "report.html")
    for suffix in ("html", "md", "tex"):
        one, two = (tmp_path / out / f"report.{suffix}" for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_what_makes_figures_doubtful_is_told(tmp_path: Path) -> None:
    def told(name: str, found: PhaseResult) -> str:
        written = read_result(write_phases(tmp_path / name, found, scores=False))
        label, figure, chance = headline(written)
        return " ".join((*warnings_of(written.tree, figure, chance, label), *phase_warnings(written)))

    few = told("few", result(videos=4, wrong=1.0))
    assert "Only 4 videos: intervals are wide" in few
    assert "cannot be told from guessing" in few
    many = told("many", result(videos=12, wrong=0.1, prompts_author="x"))
    assert many == ("Training data: whether the model was trained on these videos is unknown: it was not looked for.")
    assert "One video only" in told("one", result(videos=1))
    never = result()
    lines = tuple(replace(line, predicted_t=np.zeros_like(line.predicted_t)) for line in never.timelines)
    assert "2 class(es) are in the videos and never predicted: rhexis, phaco" in told(
        "never", replace(never, timelines=lines)
    )


def test_raw_causal_and_offline_figures_stand_apart(tmp_path: Path) -> None:
    found = result(smoothed=True)
    page = _report(tmp_path / "report.html", write_phases(tmp_path / "a", found))
    figures = {"no": found.summary, **{kind: one.summary for kind, one in found.smoothed.items()}}
    assert set(figures) == {"no", "causal", "offline"}
    for kind, summary in figures.items():
        assert f"macro F1, {kind} smoothing{summary['f1'].mean:.3f}" in page.words
    assert "needs the whole video" in page.words
    rows = {row[0] for name, table in page.saved().items() if name.startswith("ribbon") for row in table[1:]}
    assert rows == {"truth", "predicted", "causal", "offline"}
    paper = (tmp_path / "report.tex").read_text()
    assert all(f"m, {kind} smoothing & " in paper for kind in ("causal", "offline"))


def test_an_alarm_stands_above_everything(tmp_path: Path) -> None:
    folder = write_phases(tmp_path / "a", result(), scores=False)
    tree = json.loads((folder / "result.json").read_text())
    tree["leakage"] = {"finding": "seen", "told": "made on videos that the model was trained on: v0 (1 of 4)"}
    (folder / "result.json").write_text(json.dumps(tree))
    page = _report(tmp_path / "report.html", folder)
    assert ("div", "class", "alarm") in page.attributes
    assert page.words.index("trained on: v0") < page.words.index("macro F1, no smoothing")
    assert "No scores lie beside this result" in page.words
    for suffix in ("md", "tex"):
        assert "DO NOT USE: made on videos" in (tmp_path / f"report.{suffix}").read_text()


def test_presence_has_a_curve_for_every_instrument_that_is_seen(tmp_path: Path) -> None:
    found = presence()
    page = _report(tmp_path / "report.html", write_presence(tmp_path / "a", found))
    assert "1 class(es) are seen in no video, and nothing is known of them: never seen" in page.words
    assert "4 of 12 cells of class and video hold no positive second" in page.words
    rows = page.saved()["precision_recall.csv"][1:]
    assert {row[0] for row in rows} == {"knife", "phaco tip"}
    rng = np.random.default_rng(0)
    present, scores = (rng.random(50) < 0.3).astype(float), rng.random(50).round(1)
    precision, recall = precision_recall(present, scores)
    for bar, one, other in zip(sorted(set(scores), reverse=True), precision, recall, strict=True):
        taken = scores >= bar
        assert one == pytest.approx(present[taken].mean())
        assert other == pytest.approx(present[taken].sum() / present.sum())
    assert np.isnan(average_precision(np.zeros(3), np.ones(3)))


def test_models_are_compared_on_the_same_videos_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [write_phases(tmp_path / name, result(seed=seed, wrong=0.2 * seed)) for seed, name in enumerate("abc", 1)]
    page = _report(tmp_path / "report.html", *folders)
    assert "m (b) minus m (a)" in page.words
    assert "m (c) minus m (a)" in page.words
    assert "the models under one truth (largest gain)" in page.words
    rows = (tmp_path / "report.tex").read_text()
    assert all(f"m ({name}) & 0." in rows for name in "abc")
    other = write_phases(tmp_path / "other", result(split_sha256="another"))
    monkeypatch.setattr(
        sys, "argv", ["ophclip", "report", str(folders[0]), str(other), "--out", str(tmp_path / "x.html")]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "different videos or labels (split hash)" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x.html").exists()
    twins = [write_presence(tmp_path / name / "r", presence(seed=seed)) for seed, name in enumerate("xy")]
    assert "1. m (r)" in _report(tmp_path / "p.html", *twins).words
    with pytest.raises(ValueError, match="expected a name that ends in"):
        write_report(folders, tmp_path / "report.pdf")


def test_latex_and_markdown_show_what_was_written() -> None:
    assert latex_text("50 % of A_1 & {B} #2 $3 ~^ \\x") == (
        r"50 \% of A\_1 \& \{B\} \#2 \$3 \textasciitilde{}\textasciicircum{} \textbackslash{}x"
    )
    table = Table(caption="a|b", headings=("model", "F1_x"), rows=(("[a] | b\nc", "0.1 [0.0, 0.2]"),))
    latex = latex_table(table, ["from\nhere"]).splitlines()
    assert latex[0] == "% from here"
    assert latex[-3:] == [r"{}[a] \textbar{} b c & 0.1 [0.0, 0.2] \\", r"\bottomrule", r"\end{tabular}"]
    assert latex[2] == r"\begin{tabular}{lr}"
    lines = markdown_table(table).splitlines()
    assert lines[-1] == r"| \[a\] \| b c | 0.1 \[0.0, 0.2\] |"
    assert lines[-2] == "| --- | ---: |"
    assert markdown_text("<b>*x*</b>\n# y") == r"\<b\>\*x\*\</b\> \# y"


def test_a_probe_shows_figures_and_gains_by_training_videos(tmp_path: Path) -> None:
    def figure(mean: float) -> dict[str, float | None]:
        return {
            "mean": mean,
            "sd": 0.1,
            "low": mean - 0.05,
            "high": mean + 0.05,
            "sd_over_draws": None,
            "draws": [mean],
        }

    def row(model: str, videos: int, mean: float) -> dict[str, object]:
        given = {"videos": videos, "shots": None, "draws": 1, "note": "", "figures": {"f1": figure(mean)}}
        return {"model": model, "over": "random", "head": "linear", **given}

    source = {"name": "t", "license": "", "citation": ""}
    split = {"sha256": "s", "rule": "by <b>video</b>", "train": ["a"] * 20, "test": ["b"] * 4}
    weights = {"bundle": {"name": "tiny", "weights_sha256": "w"}}
    tree = {
        "task": "probe", "labels": "phases", "classes": ["x"], "chance": {"f1": 0.1}, "meanings": {"gain": "how"},
        "provenance": {
            "protocol": "video_macro_v1", "dataset": source, "split": split, "models": weights, "code_version": "0",
            "classes_never_in_training": {"y": 3}, "options": {"seed": 0, "draws": 5},
        },
        "figures": [row("bundle", 1, 0.3), row("bundle", 20, 0.6), row("random", 1, 0.2), row("random", 20, 0.5)],
        "gains": [row("bundle", 1, 0.1), row("bundle", 20, -0.1)],
    }  # fmt: skip
    (tmp_path / "probe_result.json").write_text(json.dumps(tree))
    page = _report(tmp_path / "report.html", tmp_path)
    assert page.values("a", "download") == ["figure_linear.csv", "gain_linear.csv"]
    assert "1 class(es) of the test videos are in no training video: y" in page.words
    assert "by <b>video</b>: 20 training and 4 test videos" in page.words
    with pytest.raises(ValueError, match="results of probe are shown one by one"):
        write_report([tmp_path, tmp_path], tmp_path / "report.html")
    (tmp_path / "probe_result.json").write_text("{}")
    with pytest.raises(ValueError, match="not a result of this version"):
        write_report([tmp_path], tmp_path / "report.html")


def test_a_result_of_another_task_is_shown_from_its_tree(tmp_path: Path) -> None:
    figure = {"mean": 0.5, "sd": None, "low": 0.4, "high": 0.6}
    tree = {
        "task": "clips", "provenance": {
            "protocol": "clip_topk", "dataset": {"name": "catreldet", "citation": WICKED}, "model_name": "m",
            "weights_sha256": "w", "split_sha256": "s", "code_version": "0",
        },
        "summary": {"top1": figure}, "chance": {"top1": 0.2}, "styles": {"ensemble": {"top1": figure}},
        "class_f1": {"rhexis": figure, WICKED: {**figure, "mean": None}}, "unseen": [WICKED], "nulls": 0,
        "videos": [{"video_id": "v0", "files": 3, "top1": 0.25, "average_precision": {"rhexis": 0.5}}],
        "protocols": {"clip_topk": {"rule": "first or not", "figures": {"top1": figure}}},
        "groups": {"task": {"implantation": {"videos": 1, "figures": {"top1": figure}}}},
    }  # fmt: skip
    (tmp_path / "result.json").write_text(json.dumps(tree))
    page = _report(tmp_path / "report.html", tmp_path)
    assert page.saved() == {"class_f1.csv": [["class", "mean", "low", "high"], ["rhexis", "0.5000", "0.4000", "0.6000"],
        [WICKED, "", "0.4000", "0.6000"]]}  # fmt: skip
    for words in (
        "model name",
        "first of the classes",
        "0.500 [0.400, 0.600]",
        "chance 0.200",
        "implantation",
        "0.250",
        WICKED,
    ):
        assert words in page.words
    with pytest.raises(ValueError, match="results of clips are shown one by one"):
        write_report([tmp_path, tmp_path], tmp_path / "report.html")
    (tmp_path / "result.json").write_text(json.dumps({"task": "clips", "provenance": {}}))
    with pytest.raises(ValueError, match="not a result of this version"):
        write_report([tmp_path], tmp_path / "report.html")


@pytest.mark.slow
def test_a_real_browser_draws_every_picture_within_the_width_of_the_window(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium here; install it to see the page as a person would")
    page = tmp_path / "report.html"
    write_report([write_phases(tmp_path / "a", _wicked(result()))], page)
    asked = """<script>onload = () => { document.body.textContent = JSON.stringify({
        width: document.documentElement.scrollWidth, window: innerWidth, addresses: performance.getEntries()
        .filter(one => one.entryType === "resource" && !one.name.startsWith("data:")).length,
        drawn: [...document.images].map(one => one.naturalWidth > 0) }) }</script>"""
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text(encoding="utf-8") + asked, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *flags, "--window-size=500,900", "--dump-dom", probe.resolve().as_uri()]
    seen = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    found = json.loads(seen.partition("<body>")[2].partition("</body>")[0])
    assert found["width"] <= found["window"]
    assert found["addresses"] == 0
    assert len(found["drawn"]) > 8
    assert all(found["drawn"])
