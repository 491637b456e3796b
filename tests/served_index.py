"""A small index of two real videos by a real small model, and a client that asks the application without a socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import torch

from ophclip.config import IndexConfig
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.search.build import build_index

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))


def write_video(path: Path, seconds: int = 12, shift: int = 0, width_px: int = 96, height_px: int = 72) -> Path:
    """Four seconds of each colour in turn, ten frames a second, with a bar that moves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        for number in range(seconds * 10):
            picture = np.full((height_px, width_px, 3), COLOURS[(number // 40 + shift) % 3], dtype=np.uint8)
            picture[:, number % 90 : number % 90 + 6] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_bundle(folder: Path) -> Path:
    """A model of 32 numbers that was not trained."""
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
    )
    save_bundle(folder, build_model(config), config, {})
    return folder


def write_index(root: Path) -> Path:
    """ROOT/index of ROOT/videos by ROOT/bundle."""
    for number, name in enumerate(("case_001", "case_002")):
        write_video(root / "videos" / f"{name}.mp4", shift=number)
    (root / "videos" / "case_001.info.json").write_text(json.dumps({"title": "Colours", "license": "CC0"}))
    build_index(write_bundle(root / "bundle"), root / "index", videos=root / "videos", config=IndexConfig(fps=1.0))
    return root / "index"


class Asking:
    """Asks an ASGI application, one request after the other, as a client on this machine would."""

    def __init__(self, app: Any, **headers: str) -> None:
        self._app = app
        self._headers = headers

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer to one request."""
        headers = {**self._headers, **more.pop("headers", {})}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> httpx.Response:
        """A GET."""
        return self("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """A POST."""
        return self("POST", path, **more)
