"""The software bill of materials (CycloneDX JSON) of exactly what requirements.lock installs: `./justw sbom`.

uv writes it from a copy of the project whose every dependency is held to the lock; it asks the registry for what the
lock does not say. Its list of files, addresses and hashes is that registry's, so it is made where it is needed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_EXTRAS = ("demo", "dev", "postgres", "ray", "s3")


def main(out: Path) -> int:
    """Write the bill to `out`; uv's own exit status."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            (copy / name).write_bytes(Path(name).read_bytes())
        project, pins = copy / "pyproject.toml", _pins(Path("requirements.lock"))
        held = f"constraint-dependencies = {json.dumps(pins)}"
        project.write_text(re.sub("constraint-dependencies = .*", lambda _: held, project.read_text()))
        extras = [word for extra in _EXTRAS for word in ("--extra", extra)]
        asked = ["uv", "export", "--format", "cyclonedx1.5", "--no-emit-project", *extras, "-q", "-o", out.resolve()]
        return subprocess.run(asked, cwd=copy, check=False).returncode


def _pins(lock: Path) -> list[str]:
    return [line.rstrip(" \\") for line in lock.read_text().splitlines() if re.match("[A-Za-z0-9]", line)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
