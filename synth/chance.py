"""Randomness that is a function of (seed, strategy, index) and of nothing else: any sample can be drawn alone."""

from __future__ import annotations

import hashlib

import numpy as np


def chance(seed: int, strategy: str, index: int) -> np.random.Generator:
    """The generator of sample `index`. Philox (Salmon et al., 2011) is keyed, so no stream is drawn in sequence."""
    named = hashlib.blake2b(f"{strategy}\0{seed}\0{index}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(named, dtype="<u8")))
