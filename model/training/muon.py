"""Muon for the hidden matrices and AdamW for all else, as one optimizer.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) makes the momentum of a matrix orthogonal before it steps;
scaled by 0.2 sqrt(max(rows, columns)) a step is as long as one of AdamW, whose learning rate it then shares (Liu et
al., arXiv 2502.16982, eq. 4). Both optimizers are torch's own; here they share one state and one list of groups, so
that checkpoints, rates and clipping see a single optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

MOMENTUM = 0.95


class MuonAdamW(torch.optim.Optimizer):
    """`matrices`: of two axes each, stepped by Muon with `weight_decay`; `groups`: parameter groups for AdamW."""

    def __init__(
        self,
        matrices: Sequence[torch.nn.Parameter],
        groups: Sequence[dict[str, Any]],
        *,
        weight_decay: float,
        betas: tuple[float, float],
        eps: float,
        fused: bool,
    ) -> None:
        super().__init__([{"params": list(matrices)}], {"lr": 0.0})
        self._muon = torch.optim.Muon(
            list(matrices),
            lr=0.0,
            weight_decay=weight_decay,
            momentum=MOMENTUM,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adam = torch.optim.AdamW(list(groups), lr=0.0, betas=betas, eps=eps, fused=fused)
        self._muon.state = self._adam.state = self.state
        self.param_groups = [*self._muon.param_groups, *self._adam.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step every parameter that has a gradient. Raises ValueError for a closure, which neither part would share."""
        if closure is not None:
            raise ValueError("Muon beside AdamW takes no closure: compute the gradients before the step")
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adam.step()
