"""A batch in parts against the batch as a whole: equal vectors, equal gradients, equal running statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ophclip.training.micro_batches import encode_in_parts


def _loss(vectors: Tensor) -> Tensor:
    """Every sample meets every other one, as in a contrastive loss."""
    return (vectors @ vectors.T).log_softmax(dim=1).diagonal().sum().neg()


@pytest.mark.parametrize("samples", [1, 2, 3, 7])
def test_gradients_are_those_of_the_whole_batch(samples: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    inputs = torch.randn(7, 5, dtype=torch.float64)
    whole, parts = copy.deepcopy(network), copy.deepcopy(network)
    _loss(whole(inputs)).backward()
    _loss(encode_in_parts(parts, parts, [inputs], samples)).backward()
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-12)


def test_several_inputs_are_cut_alike_and_nothing_is_kept_without_gradient() -> None:
    network = nn.Linear(3, 3).double()
    first, second = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)

    def encode(one: Tensor, other: Tensor) -> Tensor:
        out: Tensor = network(one) * other
        return out

    with torch.no_grad():
        parts = encode_in_parts(network, encode, [first, second], 2)
    assert not parts.requires_grad
    torch.testing.assert_close(parts, encode(first, second).detach())


def test_dropout_draws_the_same_in_both_passes() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
    inputs = torch.randn(4, 6)
    vectors = encode_in_parts(network, network, [inputs], 2)
    vectors.sum().backward()
    weight_grad = network[0].weight.grad
    assert weight_grad is not None
    kept = (vectors != 0).float() * 2
    torch.testing.assert_close(weight_grad, kept.T @ inputs)


def test_running_statistics_are_taken_up_once() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    once = copy.deepcopy(network)
    inputs = torch.randn(6, 3)
    encode_in_parts(network, network, [inputs], 3).sum().backward()
    for part in inputs.split(3):
        once(part)
    for name, buffer in once.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], buffer, msg=name)
    assert network[1].momentum == once[1].momentum
