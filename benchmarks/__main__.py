"""All benchmarks, one after the other, and a table of what they found against the goals: `python -m benchmarks`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

BENCHMARKS = (
    *("loader", "ingest", "engines", "confine", "asr", "loss_memory", "training_step"),
    *("retrieval", "search", "serving", "evaluation"),
)


def main() -> None:
    """Run each in a process of its own on one thread; a benchmark that fails ends the run."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    rows = []
    for name in BENCHMARKS:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        printed = subprocess.run(command, env=one_thread, stdout=subprocess.PIPE, text=True, check=True).stdout
        rows += [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    width = max(len(row["name"]) for row in rows)
    print(f"{'':{width}} {'median':>9} {'min':>9} {'max':>9}  goal")
    for row in rows:
        verdict = {True: "met", False: "NOT MET", None: ""}[row["met"]]
        figures = " ".join(f"{row[key]:9.3f}" for key in ("ratio", "min", "max"))
        print(f"{row['name']:{width}} {figures}  {row['goal']} {verdict}".rstrip())


if __name__ == "__main__":
    main()
