"""Held-out operations as `ophclip simulate` plans them, and what they show, found naively from their programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ophclip.simulate import SimulateConfig
from ophclip.simulate.casebook import casebook
from ophclip.simulate.language import Verb
from ophclip.simulate.layouts import LAYOUTS, labels
from ophclip.simulate.layouts.takes import Mask, Take, Tree


def planned(out: Path, *, pace: float, held_out: int = 5) -> tuple[SimulateConfig, tuple[Take, ...]]:
    """A small world and its held-out videos: three of cataract surgery in five."""
    config = SimulateConfig(
        out=str(out), narrated=0, silent=0, held_out=held_out, seed=4, height_px=96, pace=pace, max_fps=10.0, workers=1
    )
    return config, tuple(Take(case=case, video=out / case.path, seed=4) for case in casebook(config))


def tree_of(name: str, takes: Sequence[Take]) -> Tree:
    """The files of one layout."""
    layout = LAYOUTS[name]
    return layout.tree([take for take in takes if take.case.program.procedure in layout.procedures])


def write_unfilmed(folder: Path, tree: Tree) -> None:
    """Tables and masks as they are, videos, clips and pictures as files of nothing."""
    from PIL import Image

    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Mask):
            Image.fromarray(content.paint()).save(path)
        else:
            path.write_text(content if isinstance(content, str) else "", encoding="utf-8")


def phase_at(take: Take, second: float) -> str:
    """The phase that began last."""
    begun = [phase.name.value for phase in take.case.program.phases if phase.start_seconds <= second]
    return begun[-1] if begun else ""


def action_at(take: Take, second: float, named: Mapping[Verb, str]) -> str:
    """What is done, under a dataset's names; a pause between two actions of one name has it as well."""
    before = [action for action in take.case.program.actions() if action.start_seconds <= second]
    after = [action for action in take.case.program.actions() if action.end_seconds > second]
    if not before or not after:
        return ""
    said = {named.get(before[-1].verb, ""), named.get(after[0].verb, "")}
    return said.pop() if len(said) == 1 else ""


def label_at(name: str, take: Take, second: float) -> str:
    """What the truth of a dataset of phases says of a second; empty where it says nothing."""
    if name in ("cataract101", "cat21", "ophnet", "phase-table"):
        return phase_at(take, second)
    if name == "ophnet-operations":
        return action_at(take, second, {verb: verb.value for verb in Verb})
    tables = {"cataract1k": labels.CATARACT1K, "cataracts": labels.CATARACTS}
    tables |= {"cholec80": labels.CHOLEC80, "autolaparo": labels.AUTOLAPARO}
    found = action_at(take, second, {verb: label for label, verbs in tables[name].items() for verb in verbs})
    if name in ("cholec80", "autolaparo") and not phase_at(take, second):
        return "Preparation"
    return found or ("Idle" if name == "cataracts" else "")
