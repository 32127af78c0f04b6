"""The weights a training begins with, put into a model one tensor at a time.

So a model can be made without memory (on torch's meta device), spread over the ranks, and only then be filled: no rank
ever holds more than its part and a whole tensor or two, and the values are the same in every layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from model.attention import RMSNorm
from model.checkpoint_state import plain_name
from model.config import MMDiTConfig
from model.layout import open_mmdit
from model.mmdit import MMDiT
from model.weights import tensors_of
from warehouse.errors import UsageError


def initialise(model: MMDiT, generator: torch.Generator | None = None) -> None:
    """Fill `model`, wherever its parts lie, with `drawn` weights."""
    fill(model, drawn(model.config, generator))


def drawn(config: MMDiTConfig, generator: torch.Generator | None = None) -> Iterator[tuple[str, Tensor]]:
    """Weights to start training from, by name, float32 on the CPU: Xavier for linear layers, zero biases, adaLN-Zero.

    All modulations and the output start at zero, so a block is the identity and the velocity 0 (Peebles and Xie,
    arXiv 2212.09748, section 3.2).
    """
    with torch.device("meta"):
        modules = list(MMDiT(config).named_modules())
    for name, module in modules:
        if isinstance(module, RMSNorm):
            yield f"{name}.weight", torch.ones(module.weight.shape)
        if not isinstance(module, nn.Linear):
            continue
        yield f"{name}.bias", torch.zeros(module.bias.shape)
        weight = torch.zeros(module.weight.shape)
        if name.startswith("time_text_embed"):
            nn.init.normal_(weight, std=0.02, generator=generator)
        elif not name.endswith(("_mod.1", "norm_out.linear", "proj_out")):
            nn.init.xavier_uniform_(weight, generator=generator)
        yield f"{name}.weight", weight


def stored(place: Path, config: MMDiTConfig) -> Iterator[tuple[str, Tensor]]:
    """Weights of a folder or file in the public layout, each read when it is its turn. Raises UsageError as
    `load_mmdit` does, before the first one."""
    return tensors_of(open_mmdit(place, config)[1])


@torch.no_grad()
def fill(model: nn.Module, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Put whole tensors into the parameters of their names, each rank its part, in the parameters' own dtype.

    Every rank must give the same; nothing is sent. To be called before the first forward pass, after which FSDP2 may
    hold gathered weights that it lets go of. Raises UsageError where one is left without a value, or where there
    is none of a name.
    """
    waiting = {plain_name(name): parameter for name, parameter in model.named_parameters()}
    for name, whole in weights:
        parameter = waiting.pop(name, None)
        if parameter is None:
            raise UsageError(f"{name} has no place in the model, or was given twice")
        if isinstance(parameter, DTensor):
            here = whole.to(parameter.device)
            mesh, placements = parameter.device_mesh, parameter.placements
            whole = distribute_tensor(here, mesh, placements, src_data_rank=None)
        parameter.copy_(whole)
    if waiting:
        raise UsageError(f"{min(waiting)} was given no value ({len(waiting)} such)")
