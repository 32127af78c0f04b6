"""VAE and text encoder of a trainer: its producers encode, it needs them itself only now and then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch

from model.feed.encoders import Encoders


@runtime_checkable
class Movable(Protocol):
    """A text encoder with weights."""

    def move(self, device: str) -> None: ...


class Resting:
    """Encoders whose weights lie in the CPU's memory, and on their own device within `awake` alone. What they are, and
    how they count tokens, can be asked at any time."""

    def __init__(self, encoders: Encoders) -> None:
        self.encoders = encoders
        self._rest()

    @contextmanager
    def awake(self) -> Iterator[Encoders]:
        """The encoders on their device, where there must be room for them."""
        self._move(self.encoders.device)
        try:
            yield self.encoders
        finally:
            self._rest()

    def _rest(self) -> None:
        if not self.encoders.device.startswith("cpu"):
            self._move("cpu")
            torch.cuda.empty_cache()

    def _move(self, device: str) -> None:
        self.encoders.vae.to(device)
        if isinstance(self.encoders.text, Movable):
            self.encoders.text.move(device)
