"""Every file of conf/ composes, and what a user gets wrong is told in one line that names the option."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ophclip.composing import compose
from ophclip.config import DemoConfig, IndexConfig, MatchingConfig, Precision, TrainConfig, ZeroShotConfig
from ophclip.model_options import ModelConfig
from ophclip.monitoring import TITLES
from ophclip.objectives import RetrievalMode
from ophclip.probe_options import ProbeConfig, ProbeHead
from ophclip.serving_options import ServingConfig, UploadLimits

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "exp").glob("*.yaml"))
SWEEPS = {"ablation"}
VARIANTS = sorted(path.stem for path in (CONF / "variant").glob("*.yaml"))
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
GIVEN = ["data.root=corpus", "model.text.name=folder"]


def test_experiments_and_models_are_there() -> None:
    assert {"demo", "ophvl", "visual"} <= set(EXPERIMENTS)
    assert {"tiny", "demo", "rn50_bioclinicalbert", "vit_b_16", "vit_l_14", "siglip", "surgvlp"} <= set(MODELS)


@pytest.mark.parametrize("name", sorted({*EXPERIMENTS} - SWEEPS))
def test_every_experiment_composes_and_is_a_short_difference(name: str) -> None:
    config = compose("train", [f"+exp={name}", *GIVEN], TrainConfig)
    assert config.data.root == "corpus"
    text = (CONF / "exp" / f"{name}.yaml").read_text()
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("#")]) < 30


def test_a_sweep_names_variants_that_are_there_and_says_how_it_is_started() -> None:
    sweep = OmegaConf.load(CONF / "exp" / "ablation.yaml").hydra.sweeper.params
    assert {*sweep.variant.split(",")} == {*VARIANTS} - {"live_ungated"}
    assert len(sweep.seed.split(",")) >= 5
    with pytest.raises(ValueError, match=r"^train: this is a sweep .* `python -m ophclip.train`"):
        compose("train", ["+exp=ablation", *GIVEN], TrainConfig)


def test_variants_compose_and_differ_from_each_other() -> None:
    made = [str(compose("train", ["+exp=demo", f"+variant={name}", *GIVEN], TrainConfig)) for name in VARIANTS]
    assert len(set(made)) == len(VARIANTS) >= 15


def test_the_validation_of_the_simulated_world_composes() -> None:
    sets = compose("train", ["+validation=simulated", *GIVEN], TrainConfig).validation.sets
    assert {one.dataset for one in sets} >= {"cataract101", "presence-table", TITLES}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_composes(name: str) -> None:
    model = compose("train", [f"model={name}", *GIVEN], TrainConfig).model
    assert isinstance(model, ModelConfig)
    assert model.name == name


def test_other_primaries_compose() -> None:
    assert compose("zeroshot", [], ZeroShotConfig) == ZeroShotConfig()
    assert compose("retrieval", ["seed=2"], MatchingConfig) == MatchingConfig(seed=2)
    assert compose("index", ["stride_seconds=1"], IndexConfig) == IndexConfig(stride_seconds=1.0)
    assert compose("serve", ["limits.clip_mb=3"], ServingConfig) == ServingConfig(limits=UploadLimits(clip_mb=3))
    assert compose("demo", ["out=here"], DemoConfig).out == "here"
    assert compose("probe", [], ProbeConfig) == ProbeConfig()
    assert compose("probe", ["heads=[linear,finetune]"], ProbeConfig).heads == [ProbeHead.LINEAR, ProbeHead.FINETUNE]
    from ingest.config import IngestConfig

    assert isinstance(compose("ingest", [], IngestConfig), IngestConfig)


def test_words_are_given_as_words() -> None:
    chosen = ["model=tiny", "data.root=x", "retrieval.mode=silent_pairs", "trainer.precision=bf16"]
    config = compose("train", chosen, TrainConfig)
    assert config.retrieval.mode is RetrievalMode.SILENT_PAIRS
    assert config.trainer.precision is Precision.BF16


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["optim.lerning_rate=1"], "optim.lerning_rate"),
        (["optim.learning_rate=fast"], "optim.learning_rate=fast.*could not be converted to Float"),
        (["optim.learning_rate=-1"], r"^optim\.learning_rate: must be positive"),
        (["retrieval.mode=sometimes"], "retrieval.mode=sometimes.*expected one of"),
        (["+optim.momentum=1"], "momentum"),
        (["model=huge"], "Could not find 'model/huge'; Available options in 'model':; demo"),
        (["+exp=nothing"], "Could not find 'exp/nothing'"),
        (["trainer.steps=0"], "^trainer: steps"),
        (["data.levels={clip: 0, video: 0}"], "^data.levels: clip and video"),
        (["data.clip_batch=1"], "^data.clip_batch: "),
        (["loss.minimal_pairs=-1"], "^loss.minimal_pairs: must not be negative"),
        (
            ["retrieval.mode=none", "retrieval.shuffled=true"],
            "^retrieval.shuffled: retrieval.mode=none retrieves nothing",
        ),
        (["model.visual.patch_dropout=1"], r"^model\.visual\.patch_dropout: must lie in 0"),
        (["optim.layer_decay=0"], r"^optim\.layer_decay: must lie above 0"),
        (["loss.contrastive=none"], r"^retrieval\.mode: loss\.contrastive=none has no titles"),
        (["loss.contrastive=none", "loss.self_supervision=none"], r"^loss\.contrastive: none leaves nothing to learn"),
        (["model.pooling=lstm"], "model.pooling=lstm.*expected one of"),
        (["steps"], "missing EQUAL"),
    ],
)
def test_mistakes_are_told_in_one_line(overrides: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        compose("train", ["model=tiny", "data.root=x", *overrides], TrainConfig)
    assert "\n" not in str(caught.value)


def test_a_mandatory_option_is_named() -> None:
    with pytest.raises(ValueError, match=r"^data\.root: has no default; give it as data\.root=VALUE$"):
        compose("train", ["model=tiny"], TrainConfig)


def test_the_entry_point_tells_a_mistake_in_one_line_and_writes_nothing(tmp_path: Path, repository: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ophclip.train", "+exp=demo", "model=tiny", f"out={tmp_path}/out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.splitlines() == ["ophclip: data.root: has no default; give it as data.root=VALUE"]
    assert not list(tmp_path.iterdir())
