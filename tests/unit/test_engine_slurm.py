"""What is written for SLURM, and what cannot be asked of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.batches import Told
from ingest.config import IngestConfig, SlurmConfig, WorkEngine
from ingest.manifest import Manifest, VideoRow
from ingest.records import Metadata
from ingest.register import recipe_of
from ingest.sources import SourceFile
from ingest.trade import Ingesting
from ingest.viewed import Task

pytest.importorskip("submitit")

EXPECTED = """
#SBATCH --account=eye
#SBATCH --array=0-2%3
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --job-name=ophclip-ingest
#SBATCH --mem=32GB
#SBATCH --partition=gpu
#SBATCH --signal=USR2@90
#SBATCH --time=90
source /shared/venv/bin/activate
export SUBMITIT_EXECUTOR=slurm
"""


def submit(corpus: Path, slurm: SlurmConfig, batches: int = 3) -> None:
    from ingest.engines.slurm import run_array

    config = IngestConfig(engine=WorkEngine.SLURM, slurm=slurm)
    told = {}
    with Manifest(corpus / "manifest.sqlite") as manifest:
        for number in range(batches):
            name = f"v{number}"
            file = SourceFile(location=f"/x/{name}.mp4", relative=name, stamp="1:2", size_bytes=9)
            task = Task(video_id=name, file=file, metadata=Metadata(), transcripts=(), staged=corpus / f"{name}.tar")
            told[name] = Told(task, "", "")
            row = VideoRow(video_id=name, path="", source_relative=name, sha256="", stamp="1:2", batch=number + 1)
            manifest.put([row])
        run_array(told, manifest, corpus, config, Ingesting(config, corpus), report=lambda *_: None)


def test_a_dry_run_writes_the_script_and_submits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "SECRET")
    options = SlurmConfig(
        dry_run=True,
        partition="gpu",
        account="eye",
        cpus=8,
        gpus=1,
        memory_gb=32.0,
        hours=1.5,
        setup=["source /shared/venv/bin/activate"],
    )
    submit(tmp_path, options)
    script = (tmp_path / "slurm" / "submission.sh").read_text()
    lines = script.splitlines()
    assert [line for line in EXPECTED.strip().splitlines() if line not in lines] == []
    assert lines[0] == "#!/bin/bash"
    assert any(line.startswith("srun ") and line.endswith(f"{tmp_path}/slurm/logs") for line in lines)
    assert "SECRET" not in script
    assert not (tmp_path / "slurm" / "tasks.pickle").exists()
    submit(tmp_path, SlurmConfig(dry_run=True, array_size=2))
    assert "#SBATCH --array=0-1%2" in (tmp_path / "slurm" / "submission.sh").read_text()
    submit(tmp_path, SlurmConfig(dry_run=True, array_size=1))
    alone = (tmp_path / "slurm" / "submission.sh").read_text()
    assert "--array" not in alone
    assert "--partition" not in alone


def test_a_manifest_in_a_file_is_not_for_many_machines(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"SQLite is for one: begin anew with manifest=postgresql"):
        submit(tmp_path, SlurmConfig())


def test_options_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match=r"slurm\.cluster: 'pbs' given, expected slurm or local"):
        SlurmConfig(cluster="pbs")
    with pytest.raises(ValueError, match=r"slurm\.hours: 0\.0 given"):
        SlurmConfig(hours=0.0)
    with pytest.raises(ValueError, match=r"slurm\.dry_run: True given, expected engine=slurm"):
        IngestConfig(slurm=SlurmConfig(dry_run=True))


def test_who_works_changes_no_recipe() -> None:
    other = IngestConfig(engine=WorkEngine.SLURM, slurm=SlurmConfig(array_size=3), manifest="postgresql://h/d")
    assert recipe_of(other) == recipe_of(IngestConfig())
