"""A training's tensors under flat names, and back: `role/model/<parameter>`, `role/optimizer/<parameter>/<moment>`,
`role/ema/<parameter>`. Names are those of the model file, whatever was wrapped around it, so a checkpoint does not
depend on the parallel layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from model.checkpoint_files import Json
from warehouse.errors import UsageError

#: What torch's own wrappers put into parameter names.
_WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.")

#: How an optimizer's kernels run: chosen for the devices and the layout of this run, not carried over from another.
_LAYOUT = ("fused", "foreach", "capturable", "differentiable")

#: An optimizer's state: what it keeps for each parameter.
Moments = dict[torch.Tensor, dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Role:
    """One network of a training and what belongs to it. Pre-training has one role; distillation will have three.

    `ema`: averaged weights by parameter name, laid out as the parameters are.
    """

    model: nn.Module
    optimizer: Optimizer | None = None
    ema: Mapping[str, torch.Tensor] | None = None


def plain_name(name: str) -> str:
    """A parameter's name in the model file."""
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and stored buffers by plain name, sharing memory with the model.

    Through state_dict(), because FSDP puts its gathered parameters back into shards there.
    """
    return {plain_name(name): value.detach() for name, value in model.state_dict().items()}


def parameter_names(model: nn.Module, optimizer: Optimizer) -> dict[int, str]:
    """Plain name by id of each parameter that the optimizer moves. Raises UsageError for one that is not the model's:
    the optimizer was made before the model was parallelised."""
    names = {id(parameter): plain_name(name) for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) not in names:
                raise UsageError("the optimizer holds parameters that the model has not: make it after parallelize()")
    return names


def flatten(roles: Mapping[str, Role]) -> dict[str, torch.Tensor]:
    """Every tensor of a training under its flat name; the tensors themselves, not copies."""
    flat: dict[str, torch.Tensor] = {}
    for name, role in roles.items():
        flat |= {f"{name}/model/{key}": value for key, value in weights(role.model).items()}
        if role.ema is not None:
            flat |= {f"{name}/ema/{plain_name(key)}": value.detach() for key, value in role.ema.items()}
        if role.optimizer is not None:
            names = parameter_names(role.model, role.optimizer)
            for parameter, state in role.optimizer.state.items():
                for key, value in state.items():
                    if not isinstance(value, torch.Tensor):
                        raise UsageError(f"this optimizer keeps {key!r} as {type(value).__name__}, not as a tensor")
                    flat[f"{name}/optimizer/{names[id(parameter)]}/{key}"] = value
    return flat


def group_facts(role: Role) -> list[Json]:
    """The optimizer's groups as JSON: their settings (learning rate as it stands, ...), but not how its kernels run,
    and their parameters' names."""
    if role.optimizer is None:
        return []
    names = parameter_names(role.model, role.optimizer)
    return [
        {
            "settings": {key: _told(value) for key, value in group.items() if key not in ("params", *_LAYOUT)},
            "parameters": [names[id(parameter)] for parameter in group["params"]],
        }
        for group in role.optimizer.param_groups
    ]


def check_groups(path: Path, role: Role, facts: list[Json]) -> None:
    """Raises UsageError where the stored groups hold other parameters than the optimizer's, or there are none."""
    if role.optimizer is None:
        return
    here = [set(group["parameters"]) for group in group_facts(role)]
    if here != [set(group["parameters"]) for group in facts]:
        raise UsageError(f"{path} has no optimizer state of these parameters in these groups: {_grouped(facts, here)}")


def set_groups(role: Role, facts: list[Json], moments: Moments) -> None:
    """Gives the optimizer the stored settings of its groups, and `moments` for its state. How its kernels run stays as
    it is, whatever an older checkpoint says."""
    if role.optimizer is None:
        return
    for group, stored in zip(role.optimizer.param_groups, facts, strict=True):
        for key, value in stored["settings"].items():
            if key in _LAYOUT:
                continue
            now = group.get(key)
            if isinstance(now, torch.Tensor):
                now.fill_(value)
            else:
                group[key] = tuple(value) if isinstance(value, list) else value
    role.optimizer.state.clear()
    role.optimizer.state.update(moments)


def empty_moments(name: str, role: Role, stored: Mapping[str, tuple[torch.Size, torch.dtype]]) -> Moments:
    """Unfilled optimizer state for what is `stored` (flat names to shape and dtype), laid out as the parameters are.

    A parameter that never had a gradient has no state there, and gets none here.
    """
    if role.optimizer is None:
        return {}
    names = parameter_names(role.model, role.optimizer)
    keys: dict[str, list[str]] = {}
    for flat in stored:
        parameter_name, _, key = flat.removeprefix(f"{name}/optimizer/").rpartition("/")
        if flat.startswith(f"{name}/optimizer/"):
            keys.setdefault(parameter_name, []).append(key)
    moments: Moments = {}
    for group in role.optimizer.param_groups:
        on_device = bool(group.get("fused") or group.get("capturable"))
        for parameter in group["params"]:
            for key in keys.get(names[id(parameter)], ()):
                shape, dtype = stored[f"{name}/optimizer/{names[id(parameter)]}/{key}"]
                if shape == parameter.shape and shape:
                    value = torch.zeros_like(parameter, dtype=dtype, requires_grad=False)
                else:  # AdamW's count of steps: a number, the same on all ranks
                    value = torch.zeros(shape, dtype=dtype, device=parameter.device if on_device else "cpu")
                moments.setdefault(parameter, {})[key] = value
    return moments


def _grouped(facts: list[Json], here: list[set[str]]) -> str:
    there = [len(group["parameters"]) for group in facts]
    return f"groups of {there} parameters there, of {[len(group) for group in here]} here"


def _told(value: Any) -> Json:
    return value.item() if isinstance(value, torch.Tensor) else value
