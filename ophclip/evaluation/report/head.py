"""The head of a page: what a result depends on, why it must not be believed, and how to read it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ophclip.evaluation.protocols import PROTOCOLS
from ophclip.evaluation.report.figures import figure_text
from ophclip.evaluation.report.page import Fact

FEW_VIDEOS = 10
"""Below so many videos a bootstrap interval is too narrow rather than too wide."""
_NAMED = 6


def protocol_rule(name: str) -> str:
    """The rule of a protocol in words; `name` may go on with how it was departed from."""
    known = PROTOCOLS.get(name.partition(" ")[0])
    return known.rule if known else "a protocol of its own"


def shared_facts(tree: Mapping[str, Any]) -> Iterator[Fact]:
    """What results must have in common to be compared."""
    given, source = tree["provenance"], tree["provenance"]["dataset"]
    window = f", windows of {given['window_seconds']:g} s" if given["window_seconds"] else ", single frames"
    yield Fact(term="Protocol", text=f"{given['protocol']}: {protocol_rule(given['protocol'])}")
    yield Fact(term="Sampling", text=f"{given['fps']:g} frame(s) a second, by timestamp{window}")
    yield Fact(term="Dataset", text=f"{source['name']}; licence: {source['license'] or 'not stated'}")
    yield Fact(term="Cite", text=source["citation"] or "no citation stated")
    yield Fact(term="Label rules", text=f"{source['overlap_rule']}; {source['background_rule']}")
    split = f"split {given['split']}" if given.get("split") else "all that was given"
    seconds = sum(row.get("seconds", 0) for row in tree["videos"])
    labelled = f"{seconds:,} labelled seconds, " if seconds else ""
    yield Fact(
        term="Videos",
        text=f"{len(tree['videos'])} videos ({split}), {labelled}{len(tree['classes'])} classes; hash of videos and "
        "labels",
        code=given["split_sha256"],
    )
    if given.get("fit_split"):
        yield Fact(
            term="Learned from", text=f"split {given['fit_split']}, never scored", code=given["fit_split_sha256"]
        )
    yield Fact(
        term="Intervals",
        text=f"95 %, {given['bootstrap_samples']:,} resamples of whole videos; chance from {given['chance_samples']:,} "
        f"random predictions of every video; seed {given['seed']}",
    )


def own_facts(tree: Mapping[str, Any], path: Path) -> Iterator[Fact]:
    """What makes a result differ from another on the same videos."""
    given = tree["provenance"]
    author = given["prompts_author"] or "author not stated"
    date = given["prompts_date"] or "date not stated"
    yield Fact(term="Model", text=f"{given['model_name']}; weights", code=given["weights_sha256"])
    yield Fact(term="Prompts", text=f"{given['prompts_name']}, by {author}, {date}; hash", code=given["prompts_sha256"])
    for name, group in smoothed_groups(tree).items():
        if method := group.get("method"):
            yield Fact(term=f"Smoothing, {name}", text=str(method))
    yield Fact(term="Code", text=f"ophclip {given['code_version']}")
    yield from closing_facts(tree, path)


def closing_facts(tree: Mapping[str, Any], path: Path) -> Iterator[Fact]:
    """What any result says: whether training saw the videos, how fast it went, and how to check it."""
    if "leakage" in tree:
        yield Fact(term="Training data", text=str(tree["leakage"]["told"]))
    if "throughput" in tree:
        yield Fact(term="Speed", text=_speed(tree["throughput"]))
    yield Fact(term="Receipt", text=f"SHA-256 of {path.name}", code=hashlib.sha256(path.read_bytes()).hexdigest())
    yield Fact(term="Compute it again", text="", code=verifying(path))


def verifying(path: Path) -> str:
    """The command that computes a result again, from the folder that its own lies in."""
    return f"ophclip verify {shlex.quote(path.parent.name or '.')}"


def _speed(given: Mapping[str, Any]) -> str:
    if not given["frames"]:
        return "embeddings were there already; nothing was decoded"
    of = f" of {given['video_seconds'] / 60:,.1f} minutes of video" if given["video_seconds"] else ""
    return f"{given['frames']:,} frames{of} decoded and encoded in {given['wall_seconds']:,.1f} s"


def smoothed_groups(tree: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Figures of smoothed predictions by how they were smoothed, each with its `summary`."""
    return dict(tree.get("smoothed", {}))


def alarms_of(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the figures must not be used: training saw the videos."""
    leakage = tree.get("leakage", {})
    return (str(leakage["told"]),) if leakage.get("finding") == "seen" else ()


def warnings_of(tree: Mapping[str, Any], headline: Mapping[str, Any], chance: float | None, name: str) -> Iterator[str]:
    """How to read the figures of any task; `headline` is called `name`."""
    videos = len(tree["videos"])
    if videos < 2:
        yield "One video only: there is no interval, and nothing can be said of other videos."
    elif videos < FEW_VIDEOS:
        yield (
            f"Only {videos} videos: intervals are wide, and a bootstrap over so few is itself unsure. Read the videos "
            "one by one."
        )
    if chance is not None and headline["low"] is not None and headline["low"] <= chance:
        yield (
            f"The interval of {name}, {figure_text(headline)}, holds chance ({chance:.3f}) or lies below it: this "
            "result cannot be told from guessing."
        )
    if tree["provenance"]["fps"] != 1.0:
        yield f"Scored at {tree['provenance']['fps']:g} fps: not comparable with figures published at 1 fps."
    if outlasted := tree.get("past_the_end"):
        yield (
            f"The labels of {len(outlasted)} video(s) outlast them, and what lies past the end is not scored: "
            f"{some(list(outlasted))}."
        )
    yield from unknown_training(tree)
    if not tree["provenance"]["prompts_author"]:
        yield "The prompts do not name their author; who wrote them, and whether with these videos at hand, is unknown."


def unknown_training(tree: Mapping[str, Any]) -> Iterator[str]:
    """That nobody knows whether training saw the videos, or that it saw some of the same name."""
    leakage = tree.get("leakage", {})
    if leakage.get("finding") in ("unknown", "namesakes"):
        yield f"Training data: {leakage['told']}."


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
