"""The temporal head: a causal temporal convolutional network over frozen features, the usual model downstream.

One stage of MS-TCN (Farha & Gall, CVPR 2019) whose convolutions look back only, as in TeCNO (Czempiel et al., MICCAI
2020). A video is one sequence. Shapes: T frames, N labelled seconds, C classes, D width, W channels.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.probes.objectives import label_loss
from ophclip.evaluation.probes.samples import Features, ProbeVideo
from ophclip.probe_options import TemporalHeadConfig

_KERNEL = 3
_LEAST_TO_KEEP_ASIDE = 3
_KEPT_ASIDE = 0.2


class CausalLayer(nn.Module):
    """A dilated convolution of the present and two past frames, added to what came in."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.past = (_KERNEL - 1) * dilation
        self.dilated = nn.Conv1d(width, width, _KERNEL, dilation=dilation)
        self.mixed = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states_bwt: Tensor) -> Tensor:
        """[B, W, T] -> [B, W, T]."""
        seen_bwt = self.dilated(F.pad(states_bwt, (self.past, 0))).relu()
        added_bwt: Tensor = self.dropout(self.mixed(seen_bwt))
        return states_bwt + added_bwt


class CausalTCN(nn.Module):
    """Scores of each class at each frame, from that frame and those before it."""

    def __init__(self, dim: int, classes: int, config: TemporalHeadConfig) -> None:
        super().__init__()
        self.narrowed = nn.Conv1d(dim, config.width, 1)
        self.layers = nn.Sequential(
            *(CausalLayer(config.width, 2**number, config.dropout) for number in range(config.layers))
        )
        self.scored = nn.Conv1d(config.width, classes, 1)

    def forward(self, features_btd: Tensor) -> Tensor:
        """[B, T, D] -> logits [B, T, C]."""
        logits_bct: Tensor = self.scored(self.layers(self.narrowed(features_btd.transpose(1, 2))))
        return logits_bct.transpose(1, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class TemporalHead:
    """A trained network and the standardisation of what it reads."""

    network: CausalTCN
    mean_d: Features
    scale_d: Features
    epochs: int
    """After so many passes it was best, or training ended."""
    kept_aside: tuple[str, ...]
    """Training videos by which it was stopped."""

    def scores(self, vectors_td: Features) -> Floats:
        """Logits of each class at each frame [T, C]."""
        with torch.inference_mode():
            logits_btc = self.network(torch.from_numpy((vectors_td - self.mean_d) / self.scale_d)[None])
        return np.asarray(logits_btc[0].numpy(), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Standardised features [T, D], frames of the labels [N], and labels [N, C]."""

    features_td: Tensor
    rows_n: Tensor
    truth_nc: Tensor


def fit_temporal(
    videos: Sequence[ProbeVideo],
    picks: Mapping[int, Ints],
    config: TemporalHeadConfig,
    *,
    exclusive: bool,
    seed: int,
) -> TemporalHead:
    """Train on the labelled seconds `picks` of whole videos; same seed, same head on the same machine."""
    chosen = {place: videos[place] for place in picks}
    stacked_td = np.concatenate([video.vectors_td for video in chosen.values()])
    mean_d, spread_d = stacked_td.mean(axis=0), stacked_td.std(axis=0)
    scale_d = np.where(spread_d > 1e-8, spread_d, 1.0).astype(np.float32)
    sequences = {
        place: _Sequence(
            torch.from_numpy((video.vectors_td - mean_d) / scale_d),
            torch.from_numpy(video.rows_n[picks[place]]),
            torch.from_numpy(video.truth_nc[picks[place]]),
        )
        for place, video in chosen.items()
    }
    aside = _kept_aside(list(chosen), seed)
    learned = [one for place, one in sequences.items() if place not in aside]
    watched = [sequences[place] for place in aside]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CausalTCN(stacked_td.shape[1], videos[0].truth_nc.shape[1], config)
        epochs = _train(network, learned, watched, config, exclusive=exclusive, seed=seed)
    names = tuple(videos[place].video_id for place in aside)
    return TemporalHead(network=network.eval(), mean_d=mean_d, scale_d=scale_d, epochs=epochs, kept_aside=names)


def _kept_aside(places: Sequence[int], seed: int) -> tuple[int, ...]:
    if len(places) < _LEAST_TO_KEEP_ASIDE:
        return ()
    count = max(round(_KEPT_ASIDE * len(places)), 1)
    return tuple(sorted(int(place) for place in np.random.default_rng([seed, 0]).permutation(places)[:count]))


def _train(
    network: CausalTCN,
    learned: Sequence[_Sequence],
    watched: Sequence[_Sequence],
    config: TemporalHeadConfig,
    *,
    exclusive: bool,
    seed: int,
) -> int:
    """A step for each video of each pass; the weights of the best pass are put back. Returns its number."""
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    rng = np.random.default_rng([seed, 1])
    best, best_epoch, best_weights = float("inf"), 0, copy.deepcopy(network.state_dict())
    passes = config.epochs if watched else -(-config.epochs // 2)
    for epoch in range(1, passes + 1):
        network.train()
        for place in rng.permutation(len(learned)):
            optimiser.zero_grad()
            torch.autograd.backward(_loss(network, learned[place], exclusive))
            optimiser.step()
        if not watched:
            continue
        network.eval()
        with torch.inference_mode():
            loss = sum(float(_loss(network, one, exclusive)) for one in watched)
        if loss < best:
            best, best_epoch, best_weights = loss, epoch, copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= config.patience:
            break
    if not watched:
        return passes
    network.load_state_dict(best_weights)
    return best_epoch


def _loss(network: CausalTCN, given: _Sequence, exclusive: bool) -> Tensor:
    return label_loss(network(given.features_td[None])[0][given.rows_n], given.truth_nc, exclusive=exclusive)
