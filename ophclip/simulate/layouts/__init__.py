"""The held-out videos of a world in the layout of every dataset that can be read, so that readers have whole trees.

A layout is a pure function from videos with their truth to the files that the dataset's owner ships. Operations that a
dataset does not hold are not in it, and labels that the world cannot show are absent: `shown` names the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ophclip.evaluation.datasets import dataset_entry
from ophclip.evaluation.datasets.cat21 import PHASES as CAT21_PHASES
from ophclip.evaluation.datasets.clips import REST
from ophclip.evaluation.datasets.masks import TASKS
from ophclip.progress import Progress
from ophclip.simulate.casebook import Role, casebook
from ophclip.simulate.config import SimulateConfig
from ophclip.simulate.language import CATARACT101_IDS, OPHNET_IDS, Instrument, Procedure, Verb
from ophclip.simulate.layouts import clips, frame_tables, labels, pictures, segment_lists
from ophclip.simulate.layouts.takes import Take, Tree
from ophclip.simulate.layouts.writing import write_tree

CATARACT, OTHER = (Procedure.PHACO,), (Procedure.TRABECULECTOMY, Procedure.KERATOPLASTY)
EVERY = (*CATARACT, *OTHER)


@dataclass(frozen=True, slots=True)
class Layout:
    """How one dataset is written, and what of it a world can show."""

    tree: Callable[[Sequence[Take]], Tree]
    procedures: tuple[Procedure, ...]
    shown: frozenset[str]
    """Those of the dataset's classes that a long enough world has."""
    folder: str = ""
    """Where it is written, if not in a folder of its name."""
    table: str = ""
    """The file in it that the reader takes; the folder itself, if empty."""


def _tables(tables: Callable[[Sequence[Take]], Mapping[str, str]], takes: Sequence[Take]) -> Tree:
    return segment_lists.with_films(tables(takes), takes)


def _cadis(task: int) -> Layout:
    values = set(pictures.CADIS_VALUES.values())
    shown = frozenset(name for name, raw in TASKS[task].items() if values & set(raw))
    return Layout(pictures.cadis, CATARACT, shown, folder="cadis")


_CATARACT101 = frozenset(name.value for name in CATARACT101_IDS)
_OPHNET = frozenset(name.value for name in OPHNET_IDS)
_INSTRUMENTS = frozenset(instrument.value for instrument in Instrument)

LAYOUTS: Mapping[str, Layout] = {
    "cataract101": Layout(partial(_tables, segment_lists.cataract101), CATARACT, _CATARACT101),
    "cat21": Layout(frame_tables.cat21, CATARACT, frozenset(filter(None, CAT21_PHASES.values()))),
    "cataract1k": Layout(segment_lists.cataract1k, CATARACT, frozenset(labels.CATARACT1K)),
    "cataract1k-clips": Layout(clips.cataract1k_clips, CATARACT, frozenset(labels.CATARACT1K)),
    "cataract1k-instruments": Layout(
        pictures.cataract1k_instruments,
        CATARACT,
        frozenset(
            {"Slit/incision knife", "Gauge", "Capsulorhexis cystotome", "Capsulorhexis forceps", "Phaco tip"}
            | {"Irrigation-aspiration", "Lens injector"}
        ),
    ),
    "cataracts": Layout(frame_tables.cataracts, CATARACT, frozenset(labels.CATARACTS) | {"Idle"}),
    "cataracts-tools": Layout(frame_tables.cataracts_tools, CATARACT, frozenset(labels.CATARACTS_TOOLS.values())),
    "catreldet": Layout(clips.catreldet, CATARACT, frozenset(labels.CATRELDET) | {REST}),
    "lensid": Layout(clips.lensid, CATARACT, frozenset(labels.LENSID) | {REST}),
    **{f"cadis-{task}": _cadis(task) for task in TASKS},
    "catinstseg": Layout(pictures.catinstseg, CATARACT, frozenset(labels.CATINSTSEG.values())),
    "insegcat": Layout(pictures.insegcat, CATARACT, frozenset(labels.INSEGCAT.values())),
    "ophnet": Layout(partial(_tables, segment_lists.ophnet), OTHER, _OPHNET),
    "ophnet-operations": Layout(segment_lists.ophnet_operations, EVERY, frozenset(verb.value for verb in Verb)),
    "ophnet-surgeries": Layout(segment_lists.ophnet_surgeries, EVERY, frozenset(one.value for one in Procedure)),
    "cholec80": Layout(frame_tables.cholec80, EVERY, frozenset(labels.CHOLEC80) | {"Preparation"}),
    "autolaparo": Layout(frame_tables.autolaparo, EVERY, frozenset(labels.AUTOLAPARO) | {"Preparation"}),
    "phase-table": Layout(segment_lists.phase_table, EVERY, _CATARACT101 | _OPHNET, table="phases.csv"),
    "presence-table": Layout(frame_tables.presence_table, EVERY, _INSTRUMENTS, table="presence.csv"),
}
"""By the name that `ophclip datasets` lists."""

ALL = "all"


def write_layouts(
    out: Path, config: SimulateConfig, names: Iterable[str], progress: Progress | None = None
) -> dict[str, Path]:
    """Write a finished world's held-out videos under OUT/layouts, one folder per dataset; what is there stays.

    Returns what `--root` of each dataset is. Videos are linked, not copied, where the file system can.

    Raises:
        ValueError: no dataset has one of these names, or the world has no video of the kind that one is about.
    """
    wanted = list(LAYOUTS) if ALL in (names := list(names)) else names
    chosen = {name: LAYOUTS[name] for name in wanted if dataset_entry(name)}
    takes = [
        Take(case=case, video=out / case.path, seed=config.seed)
        for case in casebook(config)
        if case.role is Role.HELD_OUT
    ]
    roots: dict[str, Path] = {}
    for done, (name, layout) in enumerate(chosen.items()):
        fitting = [take for take in takes if take.case.program.procedure in layout.procedures]
        if not fitting:
            kinds = " or ".join(one.value for one in layout.procedures)
            raise ValueError(f"layout {name}: no held-out video of {kinds} in {out}; simulate more with --held-out")
        folder = out / "layouts" / (layout.folder or name)
        if not folder.is_dir():
            write_tree(folder, layout.tree(fitting))
        roots[name] = folder / layout.table
        if progress is not None:
            progress(done + 1, len(chosen), name)
    return roots
