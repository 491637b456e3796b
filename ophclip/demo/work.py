"""What each stage of the demo does: it calls what a user would call, on the demo's folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.atomic import write_json
from ingest.config import IngestConfig
from ingest.speech.transcribe import find_weights
from ophclip.composing import compose
from ophclip.config import IndexConfig, TrainConfig, ZeroShotConfig
from ophclip.data.files import require_files
from ophclip.demo.judging import HITS, judge_hits, keep_picture, summary_of
from ophclip.demo.plan import MODELS, SITES, Plan
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.search.hits import Hit


def require_options(plan: Plan) -> None:
    """See that the options of every stage stand before the first one begins.

    Raises:
        ValueError: one line that names the option that is misspelled or wrong, or weights that are missing.
    """
    find_weights(ingest_config(plan).asr)
    index_config(plan)
    zeroshot_config(plan)
    require_files(train_config(plan).model)


def simulate(plan: Plan, site: str, progress: Progress) -> None:
    """Site A has the videos that are trained on; both sites have held-out ones."""
    from ophclip.simulate import SimulateConfig, Site
    from ophclip.simulate import simulate as run

    trained_on = site == "A"
    world = SimulateConfig(
        out=str(plan.world(site)),
        narrated=plan.config.narrated if trained_on else 0,
        silent=plan.config.silent if trained_on else 0,
        held_out=plan.config.held_out,
        seed=plan.config.seed,
        site=Site(site),
        max_fps=plan.config.max_fps,
        workers=plan.config.workers,
    )
    run(world, progress)


def ingest(plan: Plan, progress: Progress) -> None:
    """The source folder becomes the corpus."""
    from ingest.run import ingest as run

    summary = run(plan.source, plan.corpus, ingest_config(plan), progress)
    for one in summary.reports:
        print(f"ingest: {one.file}: {one.state.value}: {one.reason}", file=sys.stderr)  # noqa: T201
    if not summary.done:
        raise ValueError(f"{plan.source}: none of its videos could be used; the lines above say why")


def ingest_config(plan: Plan) -> IngestConfig:
    """The ingest options of this demo. Only in simulated pictures is nothing written that would have to be covered."""
    unwritten = ["overlays.enabled=false"] if plan.simulated else []
    return compose("ingest", [f"workers={plan.config.workers}", *unwritten, *plan.config.ingest], IngestConfig)


def train(plan: Plan, progress: Progress) -> None:
    """The trained bundle, and beside it the same towers before the first step."""
    from ophclip.models.bundle import save_bundle
    from ophclip.training.export import initial_model
    from ophclip.training.run import train as run

    config = train_config(plan)
    run(config, progress)
    save_bundle(plan.bundle("untrained"), initial_model(config), config.model, {"steps": 0})


def train_config(plan: Plan) -> TrainConfig:
    """The training options of this demo."""
    places = [f"data.root='{plan.corpus}'", f"out='{plan.run}'", f"seed={plan.config.seed}"]
    return compose("train", ["+exp=demo", *places, *plan.config.train], TrainConfig)


def index(plan: Plan, progress: Progress) -> None:
    """Held-out videos of each site, or the user's own corpus."""
    from ophclip.search.build import build_index

    config = index_config(plan)
    if not plan.simulated:
        build_index(plan.bundle("trained"), plan.index("own"), corpus=plan.corpus, config=config, progress=progress)
        return
    for site in SITES:
        build_index(
            plan.bundle("trained"), plan.index(site), videos=plan.held_out(site), config=config, progress=progress
        )


def index_config(plan: Plan) -> IndexConfig:
    """The options of this demo's indices."""
    return compose("index", plan.config.index, IndexConfig)


def recognise(plan: Plan, progress: Progress) -> None:
    """Zero-shot phases and instruments, trained beside untrained; without truth, one ribbon a video."""
    config = zeroshot_config(plan)
    if not plan.simulated:
        _recognise_own(plan, config, progress)
        return
    for site in SITES:
        for model in MODELS:
            _recognise_site(plan, site, model, config, progress)


def zeroshot_config(plan: Plan) -> ZeroShotConfig:
    """The options of this demo's recognition."""
    return compose("zeroshot", plan.config.zeroshot, ZeroShotConfig)


def _recognise_site(plan: Plan, site: str, model: str, config: ZeroShotConfig, progress: Progress) -> None:
    from ophclip.evaluation.receipts import given_to
    from ophclip.evaluation.runs import prompts_for, read_dataset
    from ophclip.evaluation.scoring import score_dataset
    from ophclip.evaluation.similarity import open_store
    from ophclip.models.bundle import load_bundle

    held_out = plan.held_out(site)
    folders = tuple(sorted(held_out.glob("*/videos")))
    roots = {
        "cataract101": held_out / "cataract101",
        "ophnet": held_out / "ophnet",
        "presence-table": held_out / "instruments" / "presence.csv",
    }
    store = open_store(load_bundle(plan.bundle(model)), config)
    for name, root in roots.items():
        dataset = read_dataset(name, root, folders)
        out = plan.result(site, model, name)
        given = given_to(out, plan.bundle(model), name, root, videos=folders)
        score_dataset(store, dataset, prompts_for(name), out, config=config, given=given, progress=progress)


def _recognise_own(plan: Plan, config: ZeroShotConfig, progress: Progress) -> None:
    from ophclip.evaluation.runs import zeroshot_video
    from ophclip.models.bundle import load_bundle

    videos, loaded = usable_videos(plan), load_bundle(plan.bundle("trained"))
    for number, (video_id, path) in enumerate(videos):
        progress(number, len(videos), video_id)
        zeroshot_video(loaded, path, "cataract101", plan.result("own", video_id), config=config)


def usable_videos(plan: Plan) -> list[tuple[str, Path]]:
    """Id and path of every video of the corpus that ingest could use."""
    from ingest.manifest import Manifest, State
    from ingest.place import manifest_place

    with Manifest(manifest_place(plan.corpus)) as manifest:
        return [(row.video_id, Path(row.path)) for row in manifest.videos() if row.state is State.DONE]


def search(plan: Plan, progress: Progress) -> None:
    """The instrument queries on every index; where the truth is known, each hit is judged by it."""
    names = SITES if plan.simulated else ("own",)
    write_json(plan.result("search.json"), {name: _searches(plan, name, progress) for name in names})


def _searches(plan: Plan, name: str, progress: Progress) -> dict[str, Any]:
    from ophclip.search.index import open_index

    judged, queries = [], plan.config.queries
    with open_index(plan.index(name)) as index:
        for number, text in enumerate(queries):
            progress(number, len(queries), text)
            hits = index.search(text=text, k=HITS)
            rows = [_row(plan, hit) for hit in hits]
            truth = judge_hits(plan, name, text, hits, rows, loaded=index.loaded) if plan.simulated else {}
            judged.append({"text": text, "hits": rows, **truth})
    return summary_of(judged) if plan.simulated else {"queries": judged}


def _row(plan: Plan, hit: Hit) -> dict[str, Any]:
    """One hit as plain data; its thumbnail becomes a file, named by its content."""
    return {
        "video_id": hit.video_id,
        "path": str(hit.path),
        "start_seconds": hit.start_seconds,
        "end_seconds": hit.end_seconds,
        "score": hit.score,
        "narration": hit.narration,
        "thumbnail": keep_picture(plan, hit.thumbnail_jpeg),
        "right": None,
        "pointed": None,
    }
