"""The steps of a training, saved so that any of them can be gone on from exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.pixels import from_bytes
from model.training.metrics import MetricsFile
from model.training.stopping import StoppedBySignal, listening
from model.vae_base import Vae
from model.vae_training.objective import Distance, Terms, objective
from model.vae_training.settings import VaeTraining, rate_at
from model.vae_training.state import State, read_state, write_state
from warehouse.errors import UsageError

#: Told after some steps: steps done, of how many, the last line of metrics.
Progress = Callable[[int, int, dict[str, Any]], None]


class Batches(Protocol):
    """Where pixels come from (model.vae_training.pictures.Training)."""

    def batches(self) -> Iterator[Tensor]: ...

    def state_dict(self) -> dict[str, int]: ...

    def load_state_dict(self, state: dict[str, int]) -> None: ...


@dataclass(frozen=True)
class Course:
    """`folder`: the run's. `save_every`, `log_every`: steps. `device`: torch's name of it."""

    folder: Path
    save_every: int = 500
    log_every: int = 20
    device: str = "cpu"


def run(
    vae: Vae,
    data: Batches,
    settings: VaeTraining,
    course: Course,
    *,
    decoder_only: bool = False,
    distance: Distance | None = None,
    progress: Progress | None = None,
) -> int:
    """Train `vae` in place until `settings.steps` have been taken, from where the folder's state stands; gives the
    step it began at.

    Raises StoppedBySignal after saving where SIGTERM or SIGINT came; UsageError where the state is of another
    network or selection, or where the loss is not finite (the last state is kept then).
    """
    trained = vae.decoder_parameters() if decoder_only else list(vae.parameters())
    frozen = {id(parameter) for parameter in vae.parameters()} - {id(parameter) for parameter in trained}
    for parameter in vae.parameters():
        parameter.requires_grad_(id(parameter) not in frozen)
    vae.to(course.device).train()
    optimizer = torch.optim.AdamW(trained, settings.rate, betas=settings.betas, weight_decay=0.0, fused=True)
    start = _resume(course.folder / "state.pt", vae, optimizer, data)
    metrics = MetricsFile(course.folder / "metrics.jsonl", start)
    pending: list[tuple[int, float, Terms, Tensor]] = []
    batches, began = data.batches(), time.monotonic()

    def save(done: int) -> None:
        write_state(
            course.folder / "state.pt", State(done, vae.state_dict(), optimizer.state_dict(), data.state_dict())
        )

    try:
        with listening() as asked:
            for step in range(start, settings.steps):
                pixels = from_bytes(next(batches), course.device)
                rate = rate_at(step, settings)
                terms = objective(vae, pixels, settings, step, distance, decoder_only=decoder_only)
                norm = _update(terms.loss, trained, optimizer, rate, settings.clip)
                pending.append((step, rate, terms, norm))
                done = step + 1
                ending = asked.asked  # looked at once: what comes after this is for the next step
                due = done % course.save_every == 0 or done == settings.steps or ending is not None
                if due or done % course.log_every == 0:
                    rows = _rows(pending, time.monotonic() - began)
                    began = time.monotonic()
                    metrics.write(rows)
                    if progress is not None:
                        progress(done, settings.steps, rows[-1])
                if due:
                    save(done)
                if ending is not None and done < settings.steps:
                    raise StoppedBySignal(f"stopped after step {done} and saved: run it again to go on", ending)
    finally:
        metrics.close()
    return start


def _update(
    loss: Tensor, trained: list[nn.Parameter], optimizer: torch.optim.Optimizer, rate: float, clip: float
) -> Tensor:
    """One step of the optimizer; gives the gradient's norm before it was clipped. A gradient that is not finite makes
    every weight so, which `_rows` finds before anything is saved."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    torch.autograd.backward(loss)
    norm = nn.utils.clip_grad_norm_(trained, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm.detach()


def _rows(pending: list[tuple[int, float, Terms, Tensor]], seconds: float) -> list[dict[str, Any]]:
    """Lines of metrics of the steps since the last, and none pending. `seconds` they took together. PSNR is of pixels
    before rounding and clamping. Raises UsageError for a loss that is not finite."""
    rows: list[dict[str, Any]] = []
    for step, rate, terms, norm in pending:
        row = {"step": step, "loss": terms.loss.item(), "l1": terms.l1.item(), "l2": terms.l2.item()}
        row |= {"kl": terms.kl.item(), "perceptual": terms.perceptual.item(), "grad_norm": norm.item(), "lr": rate}
        if not (math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"])):
            raise UsageError(
                f"the loss of step {step} is not finite: nothing of it was saved; lower --lr and run again in another "
                "folder, or again in this one to see whether it is the data"
            )
        row |= {"psnr": round(10 * math.log10(4 / max(row["l2"], 1e-10)), 4), "seconds": seconds / len(pending)}
        rows.append(row)
    pending.clear()
    return rows


def _resume(path: Path, vae: Vae, optimizer: torch.optim.Optimizer, data: Batches) -> int:
    found = read_state(path)
    if found is None:
        return 0
    try:
        vae.load_state_dict(found.weights)
        optimizer.load_state_dict(found.optimizer)
    except (RuntimeError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"{path} is of another network ({first}): train into another folder") from error
    data.load_state_dict(found.data)
    return found.step
