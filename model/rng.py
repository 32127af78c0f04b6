"""The random states of one process, as bytes that a checkpoint can hold: Python's, NumPy's, torch's, the GPU's."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import torch


def read_rng() -> torch.Tensor:
    """The states of this process: (n,) uint8, JSON within, so that no pickle is read on the way back."""
    numpy = np.random.get_state(legacy=False)
    version, words, gauss = random.getstate()
    states: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": [
            numpy["bit_generator"],
            numpy["state"]["key"].tolist(),
            int(numpy["state"]["pos"]),
            int(numpy["has_gauss"]),
            float(numpy["gauss"]),
        ],
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state().numpy().tobytes().hex()
    return torch.frombuffer(bytearray(json.dumps(states).encode()), dtype=torch.uint8)


def write_rng(states: torch.Tensor) -> None:
    """Sets the states that `read_rng` took. A GPU's state is left where this machine has no GPU."""
    read = json.loads(states.cpu().numpy().tobytes())
    version, words, gauss = read["python"]
    random.setstate((version, tuple(words), gauss))
    name, key, position, has_gauss, cached = read["numpy"]
    np.random.set_state((name, np.array(key, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(read["torch"]), dtype=torch.uint8))
    if "cuda" in read and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.frombuffer(bytearray.fromhex(read["cuda"]), dtype=torch.uint8))
