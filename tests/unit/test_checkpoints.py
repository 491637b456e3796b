from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ophclip.training.checkpoints import Checkpoint, newest_checkpoint, write_checkpoint


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        step=step,
        seconds=1.5,
        module={"weight": torch.full((2, 2), float(step))},
        optimizer={"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
        bank={"title_nd": torch.zeros(1, 2, dtype=torch.float16)},
        pending={"clip": [{"loss": 2.0}]},
    )


def test_the_newest_is_kept_and_comes_back_whole(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for step in (5, 10):
        write_checkpoint(tmp_path, _checkpoint(step))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010.pt"]
    found = newest_checkpoint(tmp_path)
    assert found is not None
    expected = _checkpoint(10)
    assert found.module["weight"].equal(expected.module["weight"])
    assert (found.step, found.seconds, found.pending) == (10, 1.5, expected.pending)
    assert found.optimizer["param_groups"] == expected.optimizer["param_groups"]


def test_a_write_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _checkpoint(5))
    (tmp_path / "step-00000010.tmp").write_bytes(b"half")
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 5


def test_damage_and_other_versions_are_told_in_one_line(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, _checkpoint(5))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="not readable as a checkpoint; delete it") as caught:
        newest_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)
    torch.save({"version": 0}, path)
    with pytest.raises(ValueError, match="format 0, this version reads 1"):
        newest_checkpoint(tmp_path)


def test_nothing_but_plain_values_is_unpickled(tmp_path: Path) -> None:
    torch.save({"version": 1, "step": Path("x")}, tmp_path / "step-00000001.pt")
    with pytest.raises(ValueError, match="not readable as a checkpoint"):
        newest_checkpoint(tmp_path)
