"""`ophclip demo`: the stages in order, over a simulated world or over the user's own folder of videos.

OUT/world_a, world_b   simulated sites (without --videos)      OUT/corpus    what ingest made
OUT/run                training, its bundle in run/bundle      OUT/untrained the same towers before the first step
OUT/index_*            search indices                          OUT/results   zero-shot and search results
OUT/stages             one marker a stage                      OUT/report.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ophclip.config import DemoConfig
from ophclip.demo import work
from ophclip.demo.plan import SITES, Plan
from ophclip.demo.stages import Stage, claim, run_stages


def run_demo(config: DemoConfig) -> Path:
    """Run every stage that has not been run, write the report and return its path.

    Raises:
        ValueError: an option of a stage is wrong, the output cannot be written or was made with other options, or a
            stage found bad input.
    """
    plan = Plan(out=Path(config.out), config=config)
    if not plan.simulated and not plan.source.is_dir():
        raise ValueError(f"{plan.source} is not a folder; give a folder of videos as --videos")
    work.require_options(plan)
    claim(plan.out, {name: value for name, value in asdict(config).items() if name not in ("out", "workers")})
    done = run_stages(plan.out, list(_stages(plan)))
    from ophclip.demo.page import write_page
    from ophclip.demo.report import build_page

    report = plan.out / "report.html"
    write_page(build_page(plan, done), report)
    return report


def _stages(plan: Plan) -> Iterator[Stage]:
    if plan.simulated:
        for site in SITES:
            yield Stage(
                name=f"simulate_{site.lower()}", title=f"simulate site {site}", work=partial(work.simulate, plan, site)
            )
    yield Stage(name="ingest", title="ingest", work=partial(work.ingest, plan))
    yield Stage(name="train", title="train", work=partial(work.train, plan))
    yield Stage(name="index", title="index", work=partial(work.index, plan))
    yield Stage(name="recognise", title="zero-shot", work=partial(work.recognise, plan))
    yield Stage(name="search", title="search", work=partial(work.search, plan))
