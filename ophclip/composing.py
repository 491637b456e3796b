"""From `conf/` and the command line to typed records.

`register()` puts the schemas into Hydra's ConfigStore, so that a misspelled key or a wrong type fails composition by
name; `compose()` is how every command but training reads its file of `conf/`. Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ophclip.config import DemoConfig, IndexConfig, MatchingConfig, TrainConfig, ZeroShotConfig
from ophclip.model_options import ModelConfig
from ophclip.probe_options import ProbeConfig
from ophclip.serving_options import ServingConfig

T = TypeVar("T")


def config_folder() -> Path:
    """The repository's `conf/` when run from a checkout, else the copy inside the installed package."""
    here = Path(__file__).parent
    in_checkout = (here.parent / "pyproject.toml").is_file() and (here.parent / "conf" / "train.yaml").is_file()
    return here.parent / "conf" if in_checkout else here / "_conf"


def register() -> None:
    """Put every schema into Hydra's ConfigStore; doing it again changes nothing."""
    from hydra.core.config_store import ConfigStore

    from ingest.config import IngestConfig

    store = ConfigStore.instance()
    schemas = {
        "train_schema": TrainConfig,
        "ingest_schema": IngestConfig,
        "zeroshot_schema": ZeroShotConfig,
        "probe_schema": ProbeConfig,
        "matching_schema": MatchingConfig,
        "index_schema": IndexConfig,
        "serving_schema": ServingConfig,
        "demo_schema": DemoConfig,
        "model_schema": ModelConfig,
    }
    for name, schema in schemas.items():
        store.store(name=name, node=schema)
    store.store(group="model", name="model_schema", node=ModelConfig)


def compose(name: str, overrides: Sequence[str], schema: type[T]) -> T:
    """Read `conf/NAME.yaml` with `overrides` in Hydra's `key=value` grammar into its typed record.

    Raises:
        ValueError: one line that names the option that is misspelled, of the wrong type, missing or contradictory.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    register()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            composed = hydra_compose(config_name=name, overrides=list(overrides))
        return typed(composed, schema)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_one_line(error, name)) from error


def typed(composed: object, schema: type[T]) -> T:
    """Turn a composed DictConfig into its record, checks of `__post_init__` included.

    Raises:
        ValueError: one line that names the option that is missing or contradictory.
    """
    from omegaconf import OmegaConf

    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise ValueError(f"{missing[0]}: has no default; give it as {missing[0]}=VALUE")
    try:
        record = OmegaConf.to_object(composed)
    except AttributeError as error:
        raise ValueError(f"configuration: {error}; leave that option out") from error
    if not isinstance(record, schema):
        raise ValueError(f"configuration: expected {schema.__name__}; begin the file's defaults with its schema")
    return record


def _one_line(error: Exception, name: str) -> str:
    """Hydra says what is wrong over several lines, the option among them; the cause says it best."""
    if "HydraConfig was not set" in str(error):
        return f"{name}: this is a sweep over many runs; start it with `python -m ophclip.train` and the same options"
    words = [line.strip() for line in str(error).splitlines() if line.strip()]
    words += [line.strip() for line in str(error.__cause__ or "").splitlines()[:1]]
    noise = ("full_key:", "object_type=", "reference_type=", "See https:", "To append", "Config search", "provider=")
    told = dict.fromkeys(line.rstrip(".") for line in words if not line.startswith(noise))
    key = next((line.removeprefix("full_key:").strip() for line in words if line.startswith("full_key:")), "")
    return f"{key or name}: {'; '.join(told)}"
