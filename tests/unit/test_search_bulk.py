"""Videos are shared out, encoded once and joined in one order, whatever became of whoever was at it."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from index_content import index_content, index_rows
from served_index import write_bundle, write_video

from ingest.config import SlurmConfig, WorkConfig, WorkEngine
from ingest.entries import State
from ingest.manifest import MANIFEST_NAME, Manifest
from ingest.media import confine
from ingest.pool import run_here
from ophclip.config import IndexConfig
from ophclip.models.bundle import Loaded, load_bundle
from ophclip.search import build, bulk
from ophclip.search.build import add_to_index, build_index, remove_video
from ophclip.search.bulk import STAGING, Encoding, Task
from ophclip.search.parts import Part, read_part, write_part

CONFIG = IndexConfig(fps=1.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, three videos, one that is none, and the index of them."""
    root = tmp_path_factory.mktemp("made")
    write_bundle(root / "bundle")
    for number, name in enumerate("abc"):
        write_video(root / "videos" / f"{name}.mp4", 5 + 3 * number, number)
    (root / "videos" / "bad.mp4").write_text("not a video")
    with pytest.MonkeyPatch.context() as patch:
        make_light(patch, loaded_of(root / "bundle"))
        index(root)
    return root


loaded_of = functools.cache(load_bundle)


def make_light(patch: pytest.MonkeyPatch, loaded: Loaded) -> None:
    """Load the bundle once, and decode in this process."""
    patch.setattr("ophclip.models.bundle.load_bundle", lambda *_, **__: loaded)
    patch.setattr("ophclip.search.encode.probe", confine.probe_here)
    patch.setattr("ophclip.search.encode.frame_blocks", confine.frame_blocks_here)


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundle and videos, without an index."""
    make_light(monkeypatch, loaded_of(made / "bundle"))
    for name in ("bundle", "videos"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def index(root: Path, config: IndexConfig = CONFIG) -> Any:
    return build_index(root / "bundle", root / "index", videos=root / "videos", config=config)


class Death(BaseException):
    """A process ends."""


def dying(before: Callable[..., Any], at: int, *, after: bool) -> Callable[..., Any]:
    """Ends the process at a call, before or after it is done."""
    calls = iter(range(1, 100))

    def instead(*given: Any, **more: Any) -> Any:
        last = next(calls) == at
        if last and not after:
            raise Death
        result = before(*given, **more)
        if last:
            raise Death
        return result

    return instead


@pytest.mark.parametrize(
    ("where", "name", "at", "after"),
    [
        (bulk, "_shared_out", 1, False),
        (bulk, "_shared_out", 1, True),
        (bulk, "write_part", 2, False),
        (bulk, "write_part", 2, True),
        (Manifest, "finish_all", 2, True),
        (bulk, "enter", 2, False),
        (bulk, "enter", 2, True),
        (shutil, "rmtree", 1, False),
        (shutil, "rmtree", 1, True),
        (build, "save_tables", 1, True),
    ],
)
def test_whenever_it_ends_the_next_run_goes_on_to_the_same_index(
    made: Path, root: Path, monkeypatch: pytest.MonkeyPatch, *, where: Any, name: str, at: int, after: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(where, name, dying(getattr(where, name), at, after=after))
        patch.setattr(Manifest, "release", lambda *_: None)  # nobody who dies gives anything up
        with pytest.raises(Death):
            index(root)
    summary = index(root)
    assert [path.name for path, _ in summary.failed] == ["bad.mp4"]
    assert (summary.added + summary.unchanged, summary.videos) == (3, 3)
    assert index_rows(root / "index") == index_rows(made / "index")


def test_what_was_staged_is_not_encoded_again_and_by_whom_does_not_matter(
    made: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    stage = bulk._staged

    def counted(task: Task, *given: Any) -> Any:
        encoded.append(task.video_id)
        return stage(task, *given)

    monkeypatch.setattr(bulk, "_staged", counted)
    with monkeypatch.context() as patch:
        patch.setattr(bulk._Joining, "join", lambda _self: None)
        patch.setattr(bulk, "let_others_end", dying(lambda *_: None, 1, after=False))
        with pytest.raises(Death):
            index(root)
    assert sorted(encoded) == ["a", "b", "bad", "c"]
    assert len(list((root / "index" / STAGING / "parts").iterdir())) == 3
    write_video(root / "videos" / "b.mp4", 6, 2)
    encoded.clear()
    assert index(root).added == 3
    assert sorted(encoded) == ["b", "bad"], "other content is another part"
    assert not (root / "index" / STAGING).exists()
    shutil.rmtree(root / "index")
    shutil.copy(made / "videos" / "b.mp4", root / "videos" / "b.mp4")
    index(root)
    assert index_content(root / "index") == index_content(made / "index")


def test_what_somebody_is_at_is_left_to_him_and_taken_over_when_his_lease_expires(
    made: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.engines.work._POLL_SECONDS", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "work_off", dying(lambda *_, **__: None, 1, after=False))
        with pytest.raises(Death):
            index(root)
    place = root / "index" / STAGING / MANIFEST_NAME
    with Manifest(place) as ledger:
        recipe = ledger.videos()[0].recipe
        numbers = {row.video_id: row.batch for row in ledger.videos()}
        assert len(set(numbers.values())) == 4
        late = ledger.claim([numbers["b"]], "element", 1.0, recipe)
        assert late is not None
        refused: list[bool] = []

        def come_late(*_: object) -> None:
            refused.append(ledger.finish_all([(replace(late.rows[0], state=State.FAILED), None)], late))

        monkeypatch.setattr(bulk, "let_others_end", come_late)
        assert index(root).added == 3
    assert refused == [False]
    assert index_rows(root / "index") == index_rows(made / "index")


def test_a_part_that_was_damaged_is_named_and_made_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "enter", dying(bulk.enter, 1, after=False))
        with pytest.raises(Death):
            index(root)
    part = min((root / "index" / STAGING / "parts").iterdir(), key=lambda path: path.stat().st_size)  # of the first
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"npz: not as it was written .* run the same command again$"):
        index(root)
    assert index(root).added == 3


def test_a_part_comes_back_as_it_was(tmp_path: Path) -> None:
    part = Part(
        duration_seconds=1.25,
        vectors_nd=np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
        thumbnails={7: b"seven", 2: b"", 3: b"three"},
    )
    write_part(tmp_path / "p.npz", part)
    found = read_part(tmp_path / "p.npz")
    np.testing.assert_array_equal(found.vectors_nd, part.vectors_nd)
    assert (found.duration_seconds, dict(found.thumbnails)) == (1.25, dict(part.thumbnails))


def test_who_takes_away_takes_what_was_staged_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "enter", dying(bulk.enter, 2, after=False))
        with pytest.raises(Death):
            index(root)
    assert list((root / "index" / STAGING / "parts").iterdir())
    assert remove_video(root / "index", "a")
    assert not (root / "index" / STAGING).exists()


def test_a_second_run_waits_for_the_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ophclip.search.build._PATIENCE_SECONDS", 0.1)
    said: list[str] = []

    def beside(*given: Any) -> Any:
        def second() -> None:
            try:
                index(root)
            except ValueError as error:
                said.append(str(error))

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        return bulk.encode_into(*given)

    monkeypatch.setattr("ophclip.search.build.encode_into", beside)
    assert index(root).added == 3
    assert said == [f"{root / 'index'}: another run is writing it: wait, or choose another folder"]


def test_adding_by_a_loaded_bundle_is_the_same(made: Path, root: Path) -> None:
    others = [root / "videos" / name for name in ("b.mp4", "c.mp4")]
    for path in others:
        path.rename(root / path.name)
    index(root)
    for path in others:
        (root / path.name).rename(path)
    before = torch.get_num_threads()
    add_to_index(root / "index", loaded_of(root / "bundle"), videos=root / "videos")
    assert torch.get_num_threads() == before
    assert index_rows(root / "index") == index_rows(made / "index")


def test_a_dry_run_writes_the_script_and_the_next_run_does_the_work(made: Path, root: Path) -> None:
    pytest.importorskip("submitit")
    slurm = SlurmConfig(dry_run=True, gpus=1, array_size=3, hours=2.0)
    summary = index(root, IndexConfig(fps=1.0, engine=WorkEngine.SLURM, slurm=slurm))
    assert (summary.added, summary.videos) == (0, 0)
    staging = root / "index" / STAGING
    lines = (staging / "slurm" / "submission.sh").read_text().splitlines()
    assert {"#SBATCH --job-name=ophclip-index", "#SBATCH --array=0-2%3", "#SBATCH --gpus-per-node=1"} <= {*lines}
    assert any(line.startswith("srun ") and line.endswith(f"{staging}/slurm/logs") for line in lines)
    assert not list((staging / "parts").iterdir())
    with pytest.raises(ValueError, match=r"SQLite is for one: begin anew with manifest=postgresql"):
        index(root, IndexConfig(fps=1.0, engine=WorkEngine.SLURM))
    index(root)
    assert index_rows(root / "index") == index_rows(made / "index")


def test_work_that_is_shared_out_in_a_database_leaves_nothing_there(made: Path, root: Path, postgres: str) -> None:
    config = IndexConfig(fps=1.0, manifest=postgres)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "enter", dying(bulk.enter, 2, after=False))
        with pytest.raises(Death):
            index(root, config)
    assert not (root / "index" / STAGING / MANIFEST_NAME).exists()
    index(root)
    with Manifest(postgres) as ledger:
        assert ledger.videos() == []
    assert index_rows(root / "index") == index_rows(made / "index")


def test_files_that_cannot_be_read_are_no_reason_to_stop(root: Path) -> None:
    for number in range(12):
        (root / "videos" / f"bad{number}.mp4").write_text(f"not a video {number}")
    summary = index(root)
    assert (summary.added, len(summary.failed)) == (3, 13)


def test_who_works_changes_no_recipe_and_everything_else_does() -> None:
    def recipe(**options: Any) -> str:
        return Encoding(bundle=Path("b"), weights_sha256="w", config=IndexConfig(**options)).recipe

    plain = recipe()
    assert recipe(engine=WorkEngine.RAY, workers=5, stall_seconds=5.0, slurm=SlurmConfig(cpus=2)) == plain
    own = {one.name for one in fields(IndexConfig)} - {one.name for one in fields(WorkConfig)}
    assert own == {"window_seconds", "stride_seconds", "fps", "batch_frames", "thumbnail_width_px", "threads"}
    assert all(recipe(**{name: 3}) != plain for name in own)


@pytest.mark.parametrize(
    ("workers", "megabytes", "gpus", "expected"),
    [
        (0, 10, ["0", "1"], 1),
        (0, 500, [], 4),
        (0, 70, [], 2),
        (0, 500, ["0", "1"], 2),
        (1, 500, ["0"], 1),
        (3, 1, [], 3),
    ],
)
def test_so_many_work_here(
    workers: int, megabytes: int, gpus: list[str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(bulk, "_gpus", lambda: gpus)
    config = IndexConfig(workers=workers, threads=2)
    source: Any = None
    task = Task(video_id="a", source=source, size_bytes=megabytes * 1_000_000, staged=Path("x"))
    crew = bulk._crew(Encoding(bundle=Path("b"), weights_sha256="w", config=config), [task])
    assert crew.workers == expected
    assert (crew.engine is run_here) == (expected == 1)


@pytest.mark.parametrize(("visible", "count", "named"), [(None, 2, ["0", "1"]), ("5,7", 2, ["5", "7"]), ("", 0, [])])
def test_gpus_are_named_as_this_process_sees_them(
    visible: str | None, count: int, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    assert bulk._gpus() == named
