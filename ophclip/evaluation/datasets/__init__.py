"""Datasets in the layout in which their owners ship them. Nothing is ever downloaded.

`DATASETS` holds what is known of each, and its reader, by the name that `--dataset` takes. Without `with_videos` only
the annotations are read, and a video that is missing has the path where it is expected.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from ophclip.evaluation.datasets.cat21 import CAT21, read_cat21
from ophclip.evaluation.datasets.cataract1k import (
    CATARACT1K,
    CATARACT1K_CLIPS,
    read_cataract1k,
    read_cataract1k_clips,
)
from ophclip.evaluation.datasets.cataract101 import CATARACT101, read_cataract101
from ophclip.evaluation.datasets.cataracts import CATARACTS, CATARACTS_TOOLS, read_cataracts, read_cataracts_tools
from ophclip.evaluation.datasets.clips import CATRELDET, LENSID, read_catreldet, read_lensid
from ophclip.evaluation.datasets.coco import (
    CATARACT1K_INSTRUMENTS,
    CATINSTSEG,
    INSEGCAT,
    read_cataract1k_instruments,
    read_catinstseg,
    read_insegcat,
)
from ophclip.evaluation.datasets.frame_tables import AUTOLAPARO, CHOLEC80, read_autolaparo, read_cholec80
from ophclip.evaluation.datasets.masks import CADIS, cadis_reader, read_cadis
from ophclip.evaluation.datasets.ophnet import (
    OPHNET,
    OPHNET_OPERATIONS,
    OPHNET_SURGERIES,
    read_ophnet_operations,
    read_ophnet_phases,
    read_ophnet_surgeries,
)
from ophclip.evaluation.datasets.own import PHASE_TABLE, PRESENCE_TABLE, read_phase_table, read_presence_table
from ophclip.evaluation.datasets.segments import Reader
from ophclip.evaluation.records import Facts


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a dataset, and what reads it."""

    facts: Facts
    read: Reader


DATASETS: Mapping[str, Entry] = {
    "cataract101": Entry(CATARACT101, read_cataract101),
    "cat21": Entry(CAT21, read_cat21),
    "cataract1k": Entry(CATARACT1K, read_cataract1k),
    "cataract1k-clips": Entry(CATARACT1K_CLIPS, read_cataract1k_clips),
    "cataract1k-instruments": Entry(CATARACT1K_INSTRUMENTS, read_cataract1k_instruments),
    "cataracts": Entry(CATARACTS, read_cataracts),
    "cataracts-tools": Entry(CATARACTS_TOOLS, read_cataracts_tools),
    "catreldet": Entry(CATRELDET, read_catreldet),
    "lensid": Entry(LENSID, read_lensid),
    **{f"cadis-{task}": Entry(facts, cadis_reader(task)) for task, facts in CADIS.items()},
    "catinstseg": Entry(CATINSTSEG, read_catinstseg),
    "insegcat": Entry(INSEGCAT, read_insegcat),
    "ophnet": Entry(OPHNET, read_ophnet_phases),
    "ophnet-operations": Entry(OPHNET_OPERATIONS, read_ophnet_operations),
    "ophnet-surgeries": Entry(OPHNET_SURGERIES, read_ophnet_surgeries),
    "cholec80": Entry(CHOLEC80, read_cholec80),
    "autolaparo": Entry(AUTOLAPARO, read_autolaparo),
    "phase-table": Entry(PHASE_TABLE, read_phase_table),
    "presence-table": Entry(PRESENCE_TABLE, read_presence_table),
}


def dataset_entry(name: str) -> Entry:
    """The dataset of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        meant = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no dataset named {name!r}{meant}; `ophclip datasets` lists them: {', '.join(DATASETS)}")
    return DATASETS[name]


__all__ = [
    "DATASETS",
    "Entry",
    "dataset_entry",
    "read_autolaparo",
    "read_cadis",
    "read_cat21",
    "read_cataract1k",
    "read_cataract1k_clips",
    "read_cataract1k_instruments",
    "read_cataract101",
    "read_cataracts",
    "read_cataracts_tools",
    "read_catinstseg",
    "read_catreldet",
    "read_cholec80",
    "read_insegcat",
    "read_lensid",
    "read_ophnet_operations",
    "read_ophnet_phases",
    "read_ophnet_surgeries",
    "read_phase_table",
    "read_presence_table",
]
