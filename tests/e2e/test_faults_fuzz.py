"""Three hundred damaged files of all kinds: each ends in a result or in one clear line, and nothing hangs.

The full form is `./justw soak`: ten thousand of them, with the table in docs/faults.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_runner import LIMITS, READERS, SHARES, fuzz, table


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_three_hundred_damaged_files(tmp_path: Path) -> None:
    found = list(fuzz(300, 7_000_000, tmp_path))
    assert len(found) == 300, "none is lost"
    faults = [f"{case} {told}" for case, told in found if told.outcome not in ("result", "refused")]
    assert faults == []
    for kind in READERS:
        outcomes = {told.outcome for case, told in found if case.kind == kind}
        assert "refused" in outcomes, kind
        assert "result" in outcomes, kind
    assert max(told.seconds for _case, told in found) < 20
    assert max(told.peak_mb for _case, told in found) < 1_000 * LIMITS.max_memory_gb + 1_500
    assert len(table(found).splitlines()) == 2 + len(SHARES)
