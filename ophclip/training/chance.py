"""All chance of a run is derived from (seed, step, purpose): no generator's state has to be saved to resume."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, step: int, purpose: str) -> int:
    """A number in 0 .. 2^63 - 1, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{step}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, step: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on `device` for one purpose of one step."""
    return torch.Generator(device=device).manual_seed(derived_seed(seed, step, purpose))


def text_group(text: str) -> int:
    """A number that equal texts share (int64): the first 63 bits of a hash of its words, case and spacing apart."""
    words = " ".join(text.lower().split())
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 1
