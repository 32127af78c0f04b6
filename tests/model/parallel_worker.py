"""One rank of test_parallel.py: trains a tiny MMDiT in several layouts, one after the other, and notes what it saw.

One argument, the folder of `jobs.json`; writes `<job>.json` there (rank 0) or `error-<rank>`. Started by torchrun it is
one of its ranks; started alone it makes the ranks itself, by forks, which spares each its ten seconds of imports.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from model.checkpoint import Role, TrainingState, load_checkpoint, save_checkpoint
from model.config import MMDiTConfig
from model.initial import fill
from model.mmdit import MMDiT
from model.packing import Grid
from model.parallel_config import Checkpointing, ParallelConfig
from model.parallelize import parallelize
from model.ranks import on_each, rank, together
from model.training.ema import Ema
from model.training.optimizer import OptimizerConfig, clip_gradients, make_optimizer, set_rate
from warehouse.errors import UsageError

ROWS, SIDE, TEXTS = 4, 3, 5
DTYPES = {"fp64": torch.float64, "fp32": torch.float32}


@dataclass(frozen=True)
class Job:
    """A training: its layout, and where it begins and ends. `resume`: the checkpoint to begin with; `save`: after
    which step to write one into `folder`."""

    name: str
    tp: int = 1
    fsdp: int = 1
    replicate: int = 1
    modulation: str = "sharded"
    ac: str = "none"
    dtype: str = "fp64"
    mlp: str = "gelu"
    steps: int = 20
    save: int | None = None
    resume: str | None = None
    folder: str = ""

    @property
    def layout(self) -> ParallelConfig:
        return ParallelConfig(self.tp, self.fsdp, self.replicate, self.modulation)  # type: ignore[arg-type]


def tiny(mlp: str) -> MMDiTConfig:
    return MMDiTConfig(
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        axes_dims_rope=(4, 2, 2),
        joint_attention_dim=12,
        in_channels=16,
        out_channels=4,
        mlp=mlp,  # type: ignore[arg-type]
        mlp_ratio=2.0,
    )


def make_model(job: Job) -> MMDiT:
    """Weights of a spread at which every tensor has a gradient worth comparing."""
    model = MMDiT(tiny(job.mlp)).to(DTYPES[job.dtype])
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            parameter.copy_(noise * 0.3 / max(1, parameter.shape[-1]) ** 0.5 + (parameter.ndim == 1))
    return model


def make_batch(step: int, dtype: torch.dtype, share: int, shares: int) -> dict[str, Any]:
    """This share of the rows of a step: the same whole batch in every layout."""
    draw = torch.Generator().manual_seed(1000 + step)
    tokens = torch.randn(ROWS, SIDE * SIDE, 16, generator=draw, dtype=torch.float64)
    context = torch.randn(ROWS, TEXTS, 12, generator=draw, dtype=torch.float64)
    target = torch.randn(ROWS, SIDE * SIDE, 16, generator=draw, dtype=torch.float64)
    sigma = torch.rand(ROWS, generator=draw)
    mine = slice(share * ROWS // shares, (share + 1) * ROWS // shares)
    return {
        "tokens": tokens[mine].to(dtype),
        "context": context[mine].to(dtype),
        "target": target[mine].to(dtype),
        "sigma": sigma[mine],
        "lengths": [5, 2, 4, 1][mine],
    }


def refuses(folder: Path, step: int, state: TrainingState) -> str:
    """What this rank is told where a checkpoint of that step is there already."""
    try:
        save_checkpoint(folder, step, state)
    except UsageError as error:
        return str(error)
    return ""


def square(gradient: torch.Tensor) -> torch.Tensor:
    """What this rank adds to the square of a gradient's norm; of what several ranks hold alike, the first one does."""
    if not isinstance(gradient, DTensor):
        return gradient.square().sum()
    where = gradient.device_mesh.get_coordinate()
    copies = any(place > 0 and part.is_replicate() for place, part in zip(where, gradient.placements, strict=True))
    return gradient.to_local().square().sum() * (not copies)


def total(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over all ranks."""
    if together():
        dist.all_reduce(tensor)
    return tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread(job: Job) -> MMDiT:
    """The model in its layout: filled once it is spread, or, where it forgets selectively, spread with its weights."""
    ac = Checkpointing.parse(job.ac)
    if job.ac == "selective":
        return parallelize(make_model(job), job.layout, ac)
    with torch.device("meta"):
        model = MMDiT(tiny(job.mlp)).to(DTYPES[job.dtype])
    parallelize(model, job.layout, ac, device=torch.device("cpu"))
    fill(model, make_model(job).state_dict().items())
    return model


def train(job: Job) -> dict[str, Any]:
    """Losses over all rows, norms of every tensor's gradient, the norm that clipping saw, and the final weights."""
    place = job.layout.place(rank())
    model = spread(job)
    optimizer = make_optimizer(model, OptimizerConfig(kind="adamw", weight_decay=0.01, clip=1.0))
    ema = Ema(model, 0.9)
    state = TrainingState({"model": Role(model, optimizer, ema.shadow)}, {"updates": ema.updates}, {"mlp": job.mlp})
    start = 0
    if job.resume is not None:
        loaded = load_checkpoint(Path(job.resume), state)
        start, ema.updates = loaded.step, loaded.facts["updates"]
    seen: dict[str, Any] = {"losses": [], "norms": [], "clipped": [], "without": [], "drawn": [], "looks": []}
    for step in range(start, job.steps):
        batch = make_batch(step, DTYPES[job.dtype], place.data_rank, place.data_world)
        grids = [(Grid(SIDE, SIDE),)] * len(batch["tokens"])
        found = model(batch["tokens"], batch["sigma"], batch["context"], grids=grids, lengths=batch["lengths"])
        loss = ((found - batch["target"]) ** 2).mean()
        loss.backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        seen["without"] = sorted(name for name, grad in gradients.items() if grad is None)
        known = {name: grad for name, grad in gradients.items() if grad is not None}
        squares = torch.stack([loss.detach() / job.layout.world, *(square(grad) for grad in known.values())]).double()
        squares = total(squares)
        seen["losses"].append(squares[0].item())
        seen["norms"].append(dict(zip(known, squares[1:].sqrt().tolist(), strict=True)))
        seen["clipped"].append(clip_gradients(model.parameters(), 1.0).item())
        set_rate(optimizer, 0.01 / (1 + step))
        optimizer.step()
        optimizer.zero_grad()
        ema.update()
        if step % 4 == 1:  # a look at the averaged weights in between, as validation takes it
            with ema.applied(), torch.no_grad():
                looked = model(batch["tokens"], batch["sigma"], batch["context"], grids=grids, lengths=batch["lengths"])
            seen["looks"].append(total(((looked - batch["target"]) ** 2).mean() / job.layout.world).item())
        drawn = torch.rand(()).item()
        if job.save == step + 1:
            now = TrainingState(state.roles, {"updates": ema.updates}, state.identity)
            save_checkpoint(Path(job.folder), step + 1, now)
            told = refuses(Path(job.folder), step + 1, now)
            seen["refused"] = on_each(lambda told=told: told)
        seen["drawn"].append(drawn)
    seen["drawn"] = on_each(lambda: seen["drawn"])
    seen["weights"] = {n: whole(p.detach()).flatten().tolist() for n, p in model.named_parameters()}
    seen["average"] = {n: whole(s).flatten().tolist() for n, s in ema.shadow.items()}
    bytes_held = [s.to_local() if isinstance(s, DTensor) else s for m in optimizer.state.values() for s in m.values()]
    seen["moments"] = on_each(lambda: sum(tensor.numel() for tensor in bytes_held))
    return seen


@contextmanager
def group_of(job: Job, folder: Path, me: int) -> Any:
    """A process group of the first ranks, as many as the layout needs; one rank alone has none."""
    if job.layout.world == 1:
        yield
        return
    store = dist.FileStore(str(folder / f"store-{job.name}"), job.layout.world)
    dist.init_process_group("gloo", store=store, rank=me, world_size=job.layout.world, timeout=timedelta(seconds=60))
    try:
        yield
    finally:
        dist.destroy_process_group()


def work(folder: Path, me: int) -> None:
    for told in json.loads((folder / "jobs.json").read_text()):
        job = Job(**told)
        if me >= job.layout.world:
            continue
        with group_of(job, folder, me):
            torch.manual_seed(me)
            seen = train(job)
        if me == 0:
            (folder / f"{job.name}.json").write_text(json.dumps(seen))


def be(me: int, folder: Path) -> None:
    """Rank `me`."""
    torch.set_num_threads(1)
    done = False
    try:
        work(folder, me)
        done = True
    finally:
        if not done:
            (folder / f"error-{me}").write_text(traceback.format_exc())


def fork(ranks: int, folder: Path) -> int:
    """All ranks as children; the first that fails ends the others."""
    children = set()
    for me in range(ranks):
        child = os.fork()
        if child == 0:
            try:
                be(me, folder)
            finally:
                os._exit((folder / f"error-{me}").exists())
        children.add(child)
    failed = 0
    while children:
        child, status = os.wait()
        children.discard(child)
        if status and not failed:
            failed = 1
            for other in children:
                os.kill(other, signal.SIGKILL)
    return failed


if __name__ == "__main__":
    if "RANK" in os.environ:
        be(int(os.environ["RANK"]), Path(sys.argv[1]))
    else:
        sys.exit(fork(4, Path(sys.argv[1])))
