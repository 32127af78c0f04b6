"""Checkpoints of a training: everything in one folder that is there whole or not at all.

A checkpoint is written by all ranks, each its own shards (torch.distributed.checkpoint), into a folder without a name;
rank 0 gives it its name once all of it is durable. So a kill at any moment leaves the newest finished one as it was.
It may be read by any number of processes in any parallel layout, one plain process included. With several machines
the folder must be on storage that all of them see.

torch's own index of a checkpoint (`.metadata`) is a pickle: read only checkpoints that you trust.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from model.checkpoint_files import (
    FORMAT,
    CheckpointError,
    Json,
    Retention,
    begin,
    checkpoints,
    data_files,
    differences,
    digest,
    finish,
    latest,
    read_state,
    step_of,
    verify,
)
from model.checkpoint_state import (
    Moments,
    Role,
    check_groups,
    empty_moments,
    flatten,
    group_facts,
    parameter_names,
    set_groups,
)
from model.ranks import on_each, on_first, rank, together, world
from model.rng import read_rng, write_rng
from warehouse.errors import UsageError

__all__ = [
    "CheckpointError",
    "Loaded",
    "Retention",
    "Role",
    "TrainingState",
    "checkpoints",
    "export_weights",
    "latest",
    "load_checkpoint",
    "read_facts",
    "save_checkpoint",
    "step_of",
]


@dataclass(frozen=True)
class TrainingState:
    """What a training is made of. `roles`: its networks ("model" in pre-training). `facts`: what else must come back,
    as JSON: data cursor, schedule, logged recipe changes. `identity`: what a checkpoint must agree with to be loaded,
    as JSON: the network's configuration, hashes of VAE and text encoder, the plan's digest."""

    roles: Mapping[str, Role]
    facts: Mapping[str, Json] = field(default_factory=dict)
    identity: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """What `load_checkpoint` found. `same_rng`: the random states came back, the number of ranks being the same."""

    path: Path
    step: int
    facts: dict[str, Json]
    identity: dict[str, Json]
    world: int
    same_rng: bool


def save_checkpoint(folder: Path, step: int, state: TrainingState, *, keep: Retention | None = None) -> Path:
    """Writes `folder/step-NNNNNNNNN` and gives its path. All ranks must call it.

    `keep`: which older checkpoints stay (None: all). Raises UsageError where that step is there already or facts are no
    JSON, CheckpointError where it cannot be written, on every rank alike; older checkpoints are then untouched.
    """
    stored = {
        "format": FORMAT,
        "step": step,
        "world": world(),
        "identity": _json(state.identity, "identity"),
        "facts": _json(state.facts, "facts"),
        "groups": {name: group_facts(role) for name, role in state.roles.items()},
    }
    tensors = flatten(state.roles) | {_rng_name(rank()): read_rng()}
    try:
        unfinished = on_first(lambda: begin(folder, step))
        _write(unfinished, tensors)
        files = on_each(lambda: _signed(unfinished))
        stored["files"] = {name: signature for part in files for name, signature in part.items()}
        return on_first(lambda: finish(unfinished, step, stored, keep))
    except (OSError, CheckpointException) as error:
        raise CheckpointError(
            f"cannot write the checkpoint of step {step} into {folder} ({_first_line(error)}): older ones are unharmed"
        ) from error


def load_checkpoint(path: Path, state: TrainingState, *, rng: bool = True) -> Loaded:
    """Fills the tensors of `state` in place, whatever layout they have now, and gives what is not a tensor.

    All ranks must call it. The random states come back where the number of ranks is the same as at saving, otherwise
    they are left alone; `rng=False` leaves them in any case. Raises UsageError where `path` is no checkpoint, is of
    another identity or of another network (each difference by name), CheckpointError where it is damaged. Nothing of
    `state` is changed then.
    """
    stored = read_state(path)
    different = differences(stored["identity"], _json(state.identity, "identity"))
    if different:
        raise UsageError(f"{path} is a checkpoint of another configuration: {_listed(different)}")
    on_each(lambda: verify(path, stored["files"], rank(), world()))
    shapes = _shapes(path)
    moments = {name: empty_moments(name, role, shapes) for name, role in state.roles.items()}
    tensors = _wanted(state.roles, moments)
    _refuse_other_network(path, shapes, tensors, state.roles)
    for name, role in state.roles.items():
        check_groups(path, role, stored["groups"].get(name, []))
    same_rng = rng and stored["world"] == world()
    if same_rng:
        shape, dtype = shapes[_rng_name(rank())]
        tensors[_rng_name(rank())] = torch.empty(shape, dtype=dtype)
    _read(path, tensors)
    for name, role in state.roles.items():
        set_groups(role, stored["groups"].get(name, []), moments[name])
    if same_rng:
        write_rng(tensors[_rng_name(rank())])
    return Loaded(path, stored["step"], stored["facts"], stored["identity"], stored["world"], same_rng)


def read_facts(path: Path) -> Loaded:
    """Step, facts and identity of a checkpoint, without its tensors. Raises as `load_checkpoint` does."""
    stored = read_state(path)
    return Loaded(path, stored["step"], stored["facts"], stored["identity"], stored["world"], False)


def export_weights(
    path: Path, which: Literal["model", "ema"] = "ema", *, role: str = "model"
) -> dict[str, torch.Tensor]:
    """Whole weights by plain parameter name, on the CPU in the stored dtype, from a checkpoint of any layout.

    For one process, with no process group needed. With "ema", what is not averaged (stored buffers) is the model's.
    Raises UsageError where the checkpoint has no such weights, CheckpointError where it is damaged.
    """
    stored = read_state(path)
    verify(path, stored["files"])
    shapes = _shapes(path)
    prefixes = [f"{role}/model/"] + ([f"{role}/ema/"] if which == "ema" else [])
    if not any(name.startswith(prefixes[-1]) for name in shapes):
        there = sorted({"/".join(name.split("/")[:2]) for name in shapes if not name.startswith("rng/")})
        hint = ": no average was kept, take what was trained with --weights model" if which == "ema" else ""
        raise UsageError(f"{path} has no {role}/{which} weights; it has {', '.join(there)}{hint}")
    chosen: dict[str, str] = {}
    for prefix in prefixes:
        chosen |= {name.removeprefix(prefix): name for name in shapes if name.startswith(prefix)}
    tensors = {flat: torch.empty(shapes[flat][0], dtype=shapes[flat][1]) for flat in chosen.values()}
    _read(path, tensors, alone=True)
    return {plain: tensors[flat] for plain, flat in chosen.items()}


def _write(unfinished: Path, tensors: dict[str, torch.Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        save(tensors, storage_writer=FileSystemWriter(unfinished), no_dist=not together())


def _read(path: Path, tensors: dict[str, torch.Tensor], *, alone: bool = False) -> None:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
            load(tensors, storage_reader=FileSystemReader(path), no_dist=alone or not together())
    except (OSError, CheckpointException) as error:
        raise CheckpointError(f"cannot read {path} ({_first_line(error)}): take an older checkpoint") from error


def _shapes(path: Path) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Shape and dtype of every tensor in a checkpoint, by flat name."""
    described = FileSystemReader(path).read_metadata().state_dict_metadata
    return {
        name: (about.size, about.properties.dtype)
        for name, about in described.items()
        if isinstance(about, TensorStorageMetadata)
    }


def _wanted(roles: Mapping[str, Role], moments: Mapping[str, Moments]) -> dict[str, torch.Tensor]:
    """The tensors to fill by flat name: those of the roles, and for their optimizers the fresh `moments`."""
    tensors: dict[str, torch.Tensor] = {}
    for name, role in roles.items():
        tensors |= flatten({name: Role(role.model, None, role.ema)})
        if role.optimizer is not None:
            names = parameter_names(role.model, role.optimizer)
            for parameter, fresh in moments[name].items():
                tensors |= {f"{name}/optimizer/{names[id(parameter)]}/{key}": value for key, value in fresh.items()}
    return tensors


def _refuse_other_network(
    path: Path,
    shapes: Mapping[str, tuple[torch.Size, torch.dtype]],
    tensors: Mapping[str, torch.Tensor],
    roles: Mapping[str, Role],
) -> None:
    """Raises UsageError where names, shapes or dtypes of weights differ from what is stored."""
    used = {"model"} | ({"ema"} if any(role.ema is not None for role in roles.values()) else set())
    there = {name for name in shapes if name.split("/")[0] in roles and name.split("/")[1] in used}
    here = {name for name in tensors if name.split("/")[1] in used}
    problems = [f"{name} is only there" for name in sorted(there - here)]
    problems += [f"{name} is only here" for name in sorted(here - there)]
    for name in sorted(here & there):
        shape, dtype = shapes[name]
        if shape != tensors[name].shape or dtype != tensors[name].dtype:
            mine = tensors[name]
            problems.append(f"{name} is {tuple(shape)} {dtype} there, {tuple(mine.shape)} {mine.dtype} here")
    if problems:
        raise UsageError(f"{path} is a checkpoint of another network: {_listed(problems)}")


def _signed(unfinished: Path) -> dict[str, tuple[int, str]]:
    """This rank's share of the files: name to size and digest."""
    return {file.name: (file.stat().st_size, digest(file)) for file in data_files(unfinished)[rank() :: world()]}


def _rng_name(of_rank: int) -> str:
    return f"rng/{of_rank}"


def _listed(problems: list[str]) -> str:
    more = f", and {len(problems) - 4} more" if len(problems) > 4 else ""
    return "; ".join(problems[:4]) + more


def _json(value: Mapping[str, Json], what: str) -> dict[str, Json]:
    """`value` as it will be read back, with tuples as lists. Raises UsageError where it is no JSON."""
    try:
        return dict(json.loads(json.dumps(value)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"a checkpoint's {what} must be JSON: {error}") from error


def _first_line(error: BaseException) -> str:
    inner = next(iter(error.failures.values()), error) if isinstance(error, CheckpointException) else error
    if isinstance(inner, tuple):
        inner = inner[0]
    return (str(inner).strip().splitlines() or [type(inner).__name__])[0]
