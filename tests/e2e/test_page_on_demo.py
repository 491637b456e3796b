"""The demo's instrument queries, typed in the page: at least three of the first five hits show the instrument.

OPHCLIP_DEMO names the folder of a simulated demo that was run; without it there is nothing to type into.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import page_service
import pytest
from playwright.sync_api import Page

from ophclip.composing import compose
from ophclip.config import DemoConfig
from ophclip.demo.plan import Plan
from ophclip.demo.work import HITS
from ophclip.evaluation.datasets import read_presence_table
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.retrieval import precision_at_k, truth_label

pytestmark = pytest.mark.slow
RIGHT = 3
SITE = "A"


@dataclass(frozen=True)
class Shown:
    """One hit as the page shows it."""

    video_id: str
    start_seconds: float
    end_seconds: float


def _first_hits(page: Page, query: str) -> list[Shown]:
    """Type a query and read the first cards: what the service says of the hits that they name."""
    page.fill("#query", query)
    with page.expect_response("**/v1/search") as answer:
        page.press("#query", "Enter")
    known = {hit["hit_id"]: hit for hit in answer.value.json()["hits"]}
    page.locator("#results[aria-busy=false]").wait_for()
    ids = page.locator(".hit").evaluate_all("all => all.map(hit => hit.dataset.hitId)")[:HITS]
    return [Shown(known[one]["video_id"], known[one]["start_seconds"], known[one]["end_seconds"]) for one in ids]


def test_each_instrument_query_finds_its_instrument(tmp_path: Path) -> None:
    folder = os.environ.get("OPHCLIP_DEMO", "")
    if not folder:
        pytest.skip("no demo; name the folder of one that was run in OPHCLIP_DEMO to run this test")
    plan = Plan(out=Path(folder), config=compose("demo", [], DemoConfig))
    held_out = plan.held_out(SITE)
    table = held_out / "instruments" / "presence.csv"
    truth = read_presence_table(table, tuple(sorted(held_out.glob("*/videos"))))
    prompts = builtin_prompts("instruments")
    found = {}
    with page_service.browsing() as browser, page_service.serving(plan.index(SITE), tmp_path / "log") as service:
        page = browser.new_page(base_url=service.address)
        page.goto("/")
        for query in plan.config.queries:
            hits = _first_hits(page, query)
            found[query] = precision_at_k(hits, truth, truth_label(query, truth.classes, prompts), HITS)
    for query, one in found.items():
        print(f"{query}: {sum(one.right)} of {HITS} right, by chance {HITS * one.chance:.2f}")  # noqa: T201
    assert len(found) == 10
    assert {query: sum(one.right) for query, one in found.items() if sum(one.right) < RIGHT} == {}
