"""Adam and AdamW over plain or sharded parameters, Muon over whole ones, and the clipping of their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.distributed.tensor import DTensor

from model.training.muon import MuonAdamW
from warehouse.errors import UsageError

Kind = Literal["adam", "adamw", "muon"]
KINDS: tuple[Kind, ...] = ("adam", "adamw", "muon")


@dataclass(frozen=True)
class OptimizerConfig:
    """`weight_decay` is Adam's L2 term for "adam" and decoupled for "adamw" (Loshchilov & Hutter 2019, algorithm 2) and
    "muon" (model/training/muon.py: the hidden matrices; the rest as for "adamw").
    `clip`: the most that the gradient's norm may be; None never clips."""

    kind: Kind = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.001
    clip: float | None = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"optimizer '{self.kind}' is not one of {', '.join(KINDS)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"betas {self.betas} must lie in [0, 1)")
        if self.eps <= 0 or self.weight_decay < 0 or (self.clip is not None and self.clip <= 0):
            raise UsageError("eps and clip must be above 0, weight_decay must not be below it")


def make_optimizer(
    module: torch.nn.Module, config: OptimizerConfig, hidden: Sequence[torch.nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """An optimizer over the module's trained parameters, fused where the device has that. Its learning rate is set
    before each step. `hidden`: the matrices that "muon" steps. Raises UsageError where it has none, or sharded ones.

    Matrices decay; biases and norm weights (one axis) do not: shrinking them regularises nothing and moves the scale
    of what they normalise. A parameter that gets no gradient at all (the text output of an MMDiT's last block) is
    never touched, so it does not decay either.
    """
    groups = parameter_groups(module, config.weight_decay)
    trained = [parameter for group in groups for parameter in group["params"]]
    # A fused or grouped kernel takes tensors that are sharded alike; where some are not, they are stepped one by one.
    alike = len({repr(p.device_mesh) if isinstance(p, DTensor) else "" for p in trained}) == 1
    fused = alike and all(p.device.type in ("cpu", "cuda") for p in trained)
    if config.kind == "muon":
        return _muon(groups, hidden, config, fused)
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=0.0, betas=config.betas, eps=config.eps, fused=fused, foreach=None if alike else False)


def _muon(
    groups: Sequence[dict[str, Any]], hidden: Sequence[torch.nn.Parameter], config: OptimizerConfig, fused: bool
) -> torch.optim.Optimizer:
    taken = {id(parameter) for parameter in hidden}
    matrices = [p for group in groups for p in group["params"] if id(p) in taken]
    if not matrices or any(p.ndim != 2 or isinstance(p, DTensor) for p in matrices):
        raise UsageError(
            "optimizer 'muon' steps whole hidden matrices, and there are none here or they are spread over ranks: "
            "train with adamw, or without tp and fsdp"
        )
    rest = [{**group, "params": [p for p in group["params"] if id(p) not in taken]} for group in groups]
    rest = [group for group in rest if group["params"]]
    return MuonAdamW(matrices, rest, weight_decay=config.weight_decay, betas=config.betas, eps=config.eps, fused=fused)


def parameter_groups(module: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trained parameters: those that decay, and those that do not. Raises UsageError where nothing is trained."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if not trained:
        raise UsageError("nothing to train: every parameter is frozen")
    return [group for group in groups if group["params"]]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradients(parameters: Iterable[torch.nn.Parameter], limit: float | None) -> torch.Tensor:
    """The L2 norm of all gradients together, over all shards on all ranks (a scalar, float32, not synchronised with
    the host); where it exceeds `limit` the gradients are scaled down to it. A norm that is not finite spoils them all:
    the caller looks at what is returned."""
    trained = list(parameters)
    grads = [p.grad for p in trained if p.grad is not None]
    if not grads:
        return torch.zeros((), device=trained[0].device)
    norm = gradient_norm(grads)
    if limit is not None:
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_([local(g) for g in grads], scale)
    return norm


def gradient_norm(grads: Sequence[torch.Tensor]) -> torch.Tensor:
    """The L2 norm over all tensors. Sharded ones add up over the ranks that share them, replicated ones count once."""
    alike: dict[tuple[str, str], list[torch.Tensor]] = {}
    for grad in grads:
        where = (repr(grad.device_mesh), repr(grad.placements)) if isinstance(grad, DTensor) else ("", "")
        alike.setdefault(where, []).append(grad)
    norms = []
    for group in alike.values():
        wide = torch.promote_types(group[0].dtype, torch.float32)
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(group, 2.0, dtype=wide)))
        norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's part of a sharded tensor, or the tensor itself; changes to it are changes to the tensor."""
    if isinstance(tensor, DTensor):
        part: torch.Tensor = tensor.to_local()
        return part
    return tensor
