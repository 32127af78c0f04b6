"""An exponential moving average of the weights, kept as the weights are: sharded where they are sharded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from model.training.optimizer import local
from warehouse.errors import UsageError


class Ema:
    """shadow <- shadow + (1 - d) (weight - shadow) after each step, in float32, with d = min(decay, (1 + n) / (10 + n))
    at the n-th update: early weights are noise, and a long memory would keep them for thousands of steps."""

    def __init__(self, module: torch.nn.Module, decay: float = 0.9999) -> None:
        if not 0 <= decay < 1:
            raise UsageError(f"EMA decay {decay} must lie in [0, 1)")
        self.decay, self.updates = decay, 0
        self._weights = {n: p for n, p in module.named_parameters() if p.requires_grad}
        low = next((n for n, p in self._weights.items() if p.dtype not in (torch.float32, torch.float64)), None)
        if low is not None:
            raise UsageError(f"the weights that are trained must be float32, compute may be less: {low} is not")
        self.shadow = {n: p.detach().clone() for n, p in self._weights.items()}

    def decay_now(self) -> float:
        """The decay of the next update."""
        return min(self.decay, (1 + self.updates) / (10 + self.updates))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are. Each rank does its own shards; nothing is gathered."""
        shadow = [local(s) for s in self.shadow.values()]
        weights = [local(w.detach()) for w in self._weights.values()]
        torch._foreach_lerp_(shadow, weights, 1 - self.decay_now())
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module has the average's weights within, and its own again afterwards, to the bit. They change places
        tensor by tensor, so that no second copy of the model is needed."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, weight in self._weights.items():
            own, other = local(weight.detach()), local(self.shadow[name])
            kept = own.clone()
            own.copy_(other)
            other.copy_(kept)
