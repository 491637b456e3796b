"""Full fine-tuning: the visual tower itself is trained under a linear layer.

What is drawn for a step is a function of the seed and the step, so that a run that goes on from a checkpoint ends
where an undisturbed one does. Shapes: B pictures, N labelled seconds, S side of a picture, C classes, D width.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ingest.atomic import write_bytes
from ingest.media import frame_blocks
from ingest.shards import sha256_of
from ophclip.data.pictures import square
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.probes.objectives import label_loss
from ophclip.evaluation.probes.samples import ProbeVideo
from ophclip.models.bundle import Loaded
from ophclip.models.preprocess import Preprocess
from ophclip.models.towers import Tower
from ophclip.probe_options import FineTuneConfig

_FRAMES_A_PASS = 256
_WARMUP = 0.1


class TunedTower(nn.Module):
    """A visual tower and a linear layer over its vectors, scaled so that each number of them has variance one."""

    def __init__(self, visual: Tower, dim: int, classes: int) -> None:
        super().__init__()
        self.visual = copy.deepcopy(visual)
        self.head = nn.Linear(dim, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, pictures_b3ss: Tensor) -> Tensor:
        """Normalised pictures [B, 3, S, S] -> logits [B, C]."""
        vectors_bd = F.normalize(self.visual(pictures_b3ss.contiguous(memory_format=torch.channels_last)), dim=-1)
        logits_bc: Tensor = self.head(vectors_bd * math.sqrt(vectors_bd.shape[1]))
        return logits_bc


class Pictures:
    """Squares of the frames at labelled seconds, decoded once and kept as files; read as they are needed."""

    def __init__(self, folder: Path, side_px: int) -> None:
        self._folder = folder
        self._side_px = side_px
        self._hashes: dict[Path, str] = {}

    def __call__(self, path: Path, seconds_n: Floats) -> NDArray[np.uint8]:
        """uint8 RGB [N, S, S, 3], mapped from its file."""
        if path not in self._hashes:
            self._hashes[path] = sha256_of(path)
        asked = hashlib.sha256(seconds_n.astype("<f8").tobytes()).hexdigest()
        kept = self._folder / f"{self._hashes[path][:32]}-{asked[:16]}-{self._side_px}.npy"
        if not kept.is_file():
            buffer = io.BytesIO()
            np.save(buffer, self._decoded(path, seconds_n))
            write_bytes(kept, buffer.getvalue())
        mapped: NDArray[np.uint8] = np.load(kept, mmap_mode="r")
        return mapped

    def _decoded(self, path: Path, seconds_n: Floats) -> NDArray[np.uint8]:
        blocks = frame_blocks(path, seconds_n, _FRAMES_A_PASS, short_side_px=self._side_px)
        return np.stack([square(pixels, self._side_px) for block in blocks for pixels in block.pixels_thwc])


def finetune(
    loaded: Loaded,
    videos: Sequence[ProbeVideo],
    picks: Mapping[int, Ints],
    config: FineTuneConfig,
    *,
    pictures: Pictures,
    checkpoint: Path,
    exclusive: bool,
    seed: int,
) -> TunedTower:
    """Train on frames of the videos of `picks`, thinned to `config.fps`; goes on from `checkpoint` if it is there."""
    thinned = {
        place: seconds_n[_thinned(videos[place].seconds_n[seconds_n], config.fps)] for place, seconds_n in picks.items()
    }
    mapped = {place: pictures(videos[place].path, videos[place].seconds_n[rows]) for place, rows in thinned.items()}
    truth_nc = torch.from_numpy(np.concatenate([videos[place].truth_nc[rows] for place, rows in thinned.items()]))
    index = [(place, row) for place, rows in thinned.items() for row in range(len(rows))]
    device = loaded.model.device
    tuned = TunedTower(loaded.model.visual, loaded.model.embed_dim, truth_nc.shape[1]).to(device)
    optimiser = _optimiser(tuned, config)
    first = _restored(checkpoint, tuned, optimiser)
    tuned.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step in range(first, config.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * _schedule(step, config.steps)
            drawn = _drawn(len(index), config.batch, seed, step)
            shown = np.stack([mapped[index[number][0]][index[number][1]] for number in drawn])
            torch.manual_seed(_step_seed(seed, step))
            optimiser.zero_grad()
            logits_bc = tuned(_input(loaded.preprocess, shown, device))
            torch.autograd.backward(label_loss(logits_bc, truth_nc[drawn].to(device), exclusive=exclusive))
            optimiser.step()
            if (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
                _save(checkpoint, tuned, optimiser, step + 1)
    return tuned.eval()


def tuned_scores(
    tuned: TunedTower, video: ProbeVideo, *, loaded: Loaded, pictures: Pictures, batch_frames: int
) -> Floats:
    """Logits [N, C] at the labelled seconds of one video."""
    shown = pictures(video.path, video.seconds_n)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(shown), batch_frames):
            inputs = _input(loaded.preprocess, shown[first : first + batch_frames], loaded.model.device)
            parts.append(tuned(inputs).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def _thinned(seconds_n: Floats, fps: float) -> Ints:
    """The first of the seconds that fall into each stretch of 1 / fps."""
    return np.asarray(np.unique(np.floor(seconds_n * fps + 1e-6), return_index=True)[1], dtype=np.int64)


def _input(preprocess: Preprocess, pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    return preprocess.normalise(torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).to(device))


def _drawn(frames: int, batch: int, seed: int, step: int) -> Ints:
    rng = np.random.default_rng([seed, step])
    return np.asarray(rng.choice(frames, size=max(min(batch, frames), 2), replace=frames < 2), dtype=np.int64)


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def _schedule(step: int, steps: int) -> float:
    """Share of the peak rate: up over the first tenth, then half a cosine."""
    warmup = max(round(_WARMUP * steps), 1)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def _optimiser(tuned: TunedTower, config: FineTuneConfig) -> torch.optim.AdamW:
    tower = [value for value in tuned.visual.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in tower if value.ndim > 1], "peak": config.learning_rate},
        {"params": [value for value in tower if value.ndim < 2], "peak": config.learning_rate, "weight_decay": 0.0},
        {"params": [tuned.head.weight], "peak": config.head_learning_rate},
        {"params": [tuned.head.bias], "peak": config.head_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=config.weight_decay)


def _save(path: Path, tuned: TunedTower, optimiser: torch.optim.AdamW, step: int) -> None:
    buffer = io.BytesIO()
    torch.save({"step": step, "tuned": tuned.state_dict(), "optimiser": optimiser.state_dict()}, buffer)
    write_bytes(path, buffer.getvalue())


def _restored(path: Path, tuned: TunedTower, optimiser: torch.optim.AdamW) -> int:
    """The step to go on with."""
    if not path.is_file():
        return 0
    kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    tuned.load_state_dict(kept["tuned"])
    optimiser.load_state_dict(kept["optimiser"])
    return int(kept["step"])
