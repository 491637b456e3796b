from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from ophclip.config import OptimConfig
from ophclip.training.optim import build_optimizer, rate_factor, set_rate


def test_rate_rises_then_falls_to_zero() -> None:
    factors = [rate_factor(step, steps=20, warmup_steps=4) for step in range(20)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[4:]))
    assert factors[12] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.02
    assert rate_factor(0, steps=3, warmup_steps=0) == 1.0
    assert rate_factor(2, steps=3, warmup_steps=9) == pytest.approx(1 / 3)


def test_vectors_do_not_decay_frozen_are_left_out_and_loaded_text_is_slower() -> None:
    module = nn.ModuleDict({"new": nn.Linear(3, 3), "loaded": nn.Linear(3, 3), "frozen": nn.Linear(3, 3)})
    module["frozen"].requires_grad_(False)
    config = OptimConfig(learning_rate=0.1, text_learning_rate_factor=0.5, weight_decay=0.2)
    optimizer = build_optimizer(module, config, slower=module["loaded"].parameters())
    set_rate(optimizer, config.learning_rate, 0.5)
    found = {
        id(parameter): (group["weight_decay"], group["lr"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {
        id(module["new"].weight): (0.2, 0.05),
        id(module["new"].bias): (0.0, 0.05),
        id(module["loaded"].weight): (0.2, 0.025),
        id(module["loaded"].bias): (0.0, 0.025),
    }
    still = build_optimizer(module, OptimConfig(text_learning_rate_factor=0.0), slower=module["loaded"].parameters())
    assert sum(len(group["params"]) for group in still.param_groups) == 2
    assert isinstance(still, torch.optim.AdamW)
