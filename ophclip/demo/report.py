"""What the stages left in files, turned into the page. Reads only; computes no figure that a result does not hold."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import ophclip
from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.demo.corpus_view import corpus_section, transcript_section
from ophclip.demo.curves import loss_curves
from ophclip.demo.page import (
    HitView,
    Page,
    PhaseSection,
    PictureSection,
    QueryView,
    SearchSection,
    Strip,
    Table,
    TimingSection,
    clock,
)
from ophclip.demo.plan import SITES, Plan
from ophclip.demo.stages import Done
from ophclip.evaluation.report.figures import figure_text
from ophclip.evaluation.report.page import Card, image_address

RIBBONS_SHOWN = 3


def build_page(plan: Plan, done: Sequence[Done]) -> Page:
    """The report of a finished demo."""
    searches = json.loads(plan.result("search.json").read_text(encoding="utf-8"))
    phases = simulated_phases(plan) if plan.simulated else own_phases(plan)
    return Page(
        title="From a folder of surgical videos to a model that can be searched and asked",
        subtitle=_subtitle(plan),
        cards=_cards(plan, searches),
        notes=_notes(plan),
        corpus=corpus_section(plan),
        transcript=transcript_section(plan),
        training=_training(plan),
        phases=phases,
        search=_search(plan, searches),
        timings=_timings(done),
        receipt=_receipt(plan),
    )


def _subtitle(plan: Plan) -> str:
    if not plan.simulated:
        return f"Your own folder {plan.source}, from transcripts to search hits, on this machine."
    return (
        "A simulated surgical world, narrated by a neural voice: transcribed, cut into clips, trained on, indexed, "
        "and asked about operations it has not seen, at the site it was trained at and at another."
    )


def _notes(plan: Plan) -> tuple[str, ...]:
    if plan.simulated:
        return (
            "The videos are drawn, the narration is spoken by a synthetic voice and the truth is known to the frame. "
            "These figures show that the pipeline learns what it is given; they say nothing about real surgery.",
        )
    clips = len(ShardReader(plan.corpus).entries(Level.CLIP))
    return (
        f"This model saw {clips} narrated clips. A model worth asking needs thousands: read the ribbons and hits below "
        "as proof that the pipeline runs on your files, not as recognition.",
    )


def result(plan: Plan, *parts: str) -> dict[str, Any]:
    """A result file as a tree."""
    tree: dict[str, Any] = json.loads(plan.result(*parts, "result.json").read_text(encoding="utf-8"))
    return tree


def _cards(plan: Plan, searches: dict[str, Any]) -> tuple[Card, ...]:
    if not plan.simulated:
        return ()
    cards = []
    for site in SITES:
        trained, untrained = (result(plan, site, model, "cataract101") for model in ("trained", "untrained"))
        f1, before = trained["summary"]["f1"]["mean"], untrained["summary"]["f1"]["mean"]
        cards.append(
            Card(
                label=f"phase macro F1, site {site}",
                value=f"{f1:.2f}",
                note=f"chance {trained['chance']['f1']:.2f}, untrained {before:.2f}",
            )
        )
    for site in SITES:
        found = searches[site]
        cards.append(
            Card(
                label=f"search precision at 5, site {site}",
                value=f"{found['precision_at_5']:.2f}",
                note=f"chance {found['chance']:.2f}, {len(found['queries'])} instrument queries",
            )
        )
        pointing = found["pointing"]
        if pointing["hits"]:
            cards.append(
                Card(
                    label=f"heat map on the instrument, site {site}",
                    value=f"{pointing['right']:.2f}",
                    note=f"random place {pointing['chance']:.2f}, {pointing['hits']} right hits",
                )
            )
    return tuple(cards)


def simulated_phases(plan: Plan) -> PhaseSection:
    """Figures beside chance and beside the untrained model, then ribbons of truth against prediction."""
    rows = [row for site in SITES for row in _site_rows(plan, site)]
    return PhaseSection(
        lead=(
            "Frames of held-out videos are compared with sentences about each phase, written for the public datasets "
            "and not for this world. Protocol video_macro_v1: one frame a second, no smoothing, macro over the phases "
            "present in each video, mean over videos; instruments by instrument_video_map. Brackets: 95 % interval, "
            f"bootstrap over videos. {_loss_at_b(plan)}"
        ),
        table=Table(headings=("held-out videos", "trained", "untrained", "chance"), rows=tuple(rows)),
        pictures=tuple(strip for site in SITES for strip in _site_pictures(plan, site)),
    )


def _loss_at_b(plan: Plan) -> str:
    """What the other site costs, in the two headline figures."""
    lost = []
    for kind, key, name in (("cataract101", "f1", "phase F1"), ("presence-table", "mean_average_precision", "mAP")):
        at_a, at_b = (result(plan, site, "trained", kind)["summary"][key]["mean"] for site in SITES)
        lost.append(f"{name} goes from {at_a:.3f} to {at_b:.3f} ({at_b - at_a:+.3f})")
    return f"From site A, where it was trained, to site B: {' and '.join(lost)}."


def _site_rows(plan: Plan, site: str) -> list[tuple[str, str, str, str]]:
    rows = []
    for kind, name, key in (
        ("cataract101", "phase macro F1, ten phases of cataract surgery", "f1"),
        ("cataract101", "phase accuracy, the same", "accuracy"),
        ("ophnet", "phase macro F1, other procedures", "f1"),
        ("presence-table", "instrument mAP", "mean_average_precision"),
    ):
        trained, untrained = (result(plan, site, model, kind) for model in ("trained", "untrained"))
        title = f"site {site} · {name} ({len(trained['videos'])} videos)"
        chance = f"{trained['chance'][key]:.3f}"
        rows.append((title, figure_text(trained["summary"][key]), figure_text(untrained["summary"][key]), chance))
    return rows


def _site_pictures(plan: Plan, site: str) -> list[Strip]:
    phases = plan.result(site, "trained", "cataract101")
    ribbons = sorted((phases / "ribbons").glob("*.png"))[:RIBBONS_SHOWN]
    instruments = plan.result(site, "trained", "presence-table") / "classes.png"
    return [
        Strip(
            title=f"Site {site}: truth above prediction",
            text=f"The first {len(ribbons)} held-out cataract operations; a second of video is a second of ribbon.",
            images=tuple(image_address(path.read_bytes()) for path in ribbons),
        ),
        Strip(title=f"Site {site}: phases", text="", images=(image_address((phases / "classes.png").read_bytes()),)),
        Strip(title=f"Site {site}: instruments", text="", images=(image_address(instruments.read_bytes()),)),
    ]


def own_phases(plan: Plan) -> PhaseSection:
    """One predicted ribbon a video; nobody knows the truth."""
    ribbons = sorted(plan.result("own").glob("*/ribbon.png"))
    return PhaseSection(
        lead="The likeliest of the ten phases of cataract surgery, second by second. "
        "Nothing says which is right: the videos carry no labels.",
        table=None,
        pictures=tuple(
            Strip(title=path.parent.name, text="", images=(image_address(path.read_bytes()),)) for path in ribbons
        ),
    )


def _training(plan: Plan) -> PictureSection:
    steps = json.loads((plan.run / "run.json").read_text(encoding="utf-8"))["finished"]["steps"]
    return PictureSection(
        lead=f"{steps} steps, clip and video level in alternation; at video level silent videos are retrieved from the "
        "knowledge bank by the narrated video's title once the bank has been encoded.",
        images=(image_address(loss_curves(plan.run / "metrics.csv")),),
    )


def _search(plan: Plan, searches: dict[str, Any]) -> SearchSection:
    lead = "A query in words, five moments back, each at its second: a click plays the video from there."
    if plan.simulated:
        lead += " A hit is right if the truth says that the instrument is in the picture at some second of it."
    queries = []
    for name, found in searches.items():
        for query in found["queries"]:
            right = sum(hit["right"] is True for hit in query["hits"])
            score = f"site {name}, {right} of {len(query['hits'])} right" if plan.simulated else ""
            hits = tuple(_hit_view(plan, hit) for hit in query["hits"])
            queries.append(QueryView(text=query["text"], score=score, hits=hits))
    pointing = tuple(_pointing(plan, name, searches[name]) for name in SITES) if plan.simulated else ()
    return SearchSection(lead=lead, queries=tuple(queries), pointing=pointing)


def _pointing(plan: Plan, site: str, found: dict[str, Any]) -> Strip:
    """Heat maps of the best right hit of each query, and how often their peak lies on the instrument."""
    firsts = [next((hit["pointed"] for hit in query["hits"] if hit["pointed"]), None) for query in found["queries"]]
    images = tuple(
        image_address(plan.result("thumbnails", pointed["overlay"]).read_bytes()) for pointed in firsts if pointed
    )
    figures = found["pointing"]
    if not figures["hits"]:
        return Strip(title=f"Site {site}: heat maps", text="No hit was right.", images=())
    return Strip(
        title=f"Site {site}: where the query is answered",
        text=f"The peak (ring) of the heat map lies in the instrument's box in {figures['right']:.0%} of "
        f"{figures['hits']} right hits; a random place does in {figures['chance']:.0%}, the picture's centre in "
        f"{figures['centre']:.0%}. Shown: the best right hit of each query, at the labelled second nearest its peak.",
        images=images,
    )


def _hit_view(plan: Plan, hit: dict[str, Any]) -> HitView:
    path = Path(hit["path"]).resolve()
    return HitView(
        video=hit["video_id"],
        time=f"{clock(hit['start_seconds'])}-{clock(hit['end_seconds'])}",
        score=f"cosine {hit['score']:.2f}",
        image=image_address(plan.result("thumbnails", hit["thumbnail"]).read_bytes()),
        link=f"{path.as_uri()}#t={hit['start_seconds']:.1f},{hit['end_seconds']:.1f}",
        verdict={True: "right", False: "wrong", None: ""}[hit["right"]],
        narration=shorten(hit["narration"], width=110, placeholder=" ..."),
    )


def _timings(done: Sequence[Done]) -> TimingSection:
    total = sum(stage.seconds for stage in done)
    rows = [(stage.title, f"{stage.seconds:.0f} s", f"{stage.largest_process_gb:.1f} GB") for stage in done]
    rows.append(("all stages", f"{total:.0f} s", ""))
    return TimingSection(
        lead=f"On {platform.machine()} with {platform.system()}, Python {platform.python_version()}. "
        "Memory is the peak of the largest process so far.",
        table=Table(headings=("stage", "time", "memory"), rows=tuple(rows)),
    )


def _receipt(plan: Plan) -> tuple[str, ...]:
    described = json.loads((plan.bundle("trained") / "config.json").read_text(encoding="utf-8"))
    return (
        f"weights {described['weights_sha256']}",
        f"corpus {ShardReader(plan.corpus).fingerprint}",
        f"seed {plan.config.seed} · ophclip {ophclip.__version__}",
    )
