"""What a run tells of itself: one line of JSON a step, the same for TensorBoard, and nothing that waits for the device
but where it is asked to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.training.algorithm import Losses
from warehouse.errors import UsageError
from warehouse.files import replacing

BUCKETS = 8  # of sigma: [0, 1/8), ... [7/8, 1]


class StepSums:
    """Sums of one step over its micro batches, on the device: the weighted loss, and per bucket of sigma the sum of the
    rows' losses and their number."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._by_sigma = torch.zeros(2, BUCKETS, device=device)
        self._shown: dict[str, torch.Tensor] = {}

    def add(self, losses: Losses, shares: torch.Tensor) -> None:
        """Take in a micro batch; a row of share 0 fills a place and does not count."""
        counts = (shares > 0).to(self._loss.dtype)
        self._loss += (losses.loss * shares).sum()
        bucket = (losses.sigma * BUCKETS).long().clamp_(0, BUCKETS - 1)
        self._by_sigma[0].index_add_(0, bucket, losses.loss * counts)
        self._by_sigma[1].index_add_(0, bucket, counts)
        for name, column in losses.shown.items():
            self._shown[name] = self._shown.get(name, 0) + (column.detach() * shares).sum()

    def vector(self) -> torch.Tensor:
        """All sums as one vector, which adds up over ranks: loss, 8 sums, 8 counts, what else is shown by name."""
        shown = [self._shown[name].reshape(1) for name in sorted(self._shown)]
        return torch.cat([self._loss.reshape(1), self._by_sigma.flatten(), *shown])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._shown))


@dataclass
class StepRecord:
    """One step before it is written: `sums` (of `StepSums`, over all ranks) and `grad_norm` still on the device."""

    step: int
    phase: str
    rate: float
    sums: torch.Tensor
    grad_norm: torch.Tensor
    names: tuple[str, ...] = ()
    samples: int = 0
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0


def line(record: StepRecord, peak_flops: float | None) -> dict[str, Any]:
    """The record as it is written. `loss`, `loss_by_sigma` and `grad_norm` are exact and repeat; what comes of clocks
    does not. `loss_by_sigma`: mean of the rows in each eighth of sigma, null where there was none. `mfu`: model FLOPs
    (a training step counts three forward passes) over what the devices could do at best."""
    sums = record.sums.tolist()
    rows, counts = sums[1 : 1 + BUCKETS], sums[1 + BUCKETS : 1 + 2 * BUCKETS]
    told: dict[str, Any] = {
        "step": record.step,
        "phase": record.phase,
        "loss": sums[0],
        "loss_by_sigma": [row / count if count else None for row, count in zip(rows, counts, strict=True)],
        **dict(zip(record.names, sums[1 + 2 * BUCKETS :], strict=True)),
        "grad_norm": float(record.grad_norm),
        "lr": record.rate,
        "samples": record.samples,
        "tokens": record.tokens,
        "seconds": round(record.seconds, 6),
        "wait_share": round(record.waited / record.seconds, 6) if record.seconds else 0.0,
        "tokens_per_s": round(record.tokens / record.seconds, 3) if record.seconds else 0.0,
    }
    if peak_flops and record.seconds:
        told["mfu"] = round(record.flops / record.seconds / peak_flops, 5)
    return told


class MetricsFile:
    """`metrics.jsonl`: one line a step, in order. What stands beyond the step that a run goes on from was of a process
    that was killed; it is cut off, and written again as it was."""

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        kept = [row for row in read_lines(path) if row["step"] < start]
        if path.exists():
            with replacing(path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows and hand them to the system."""
        for row in rows:
            self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`; a last line that a kill cut short is left out. Raises UsageError for damage."""
    if not path.exists():
        return []
    found: list[dict[str, Any]] = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, text in enumerate(lines):
        try:
            found.append(json.loads(text))
        except ValueError as error:
            if number == len(lines) - 1:
                break
            raise UsageError(f"{path} is damaged in line {number + 1}: move it away") from error
    return found


class TensorBoard:
    """The numbers of `metrics.jsonl` as TensorBoard's events; steps from `start` on replace what was there."""

    def __init__(self, folder: Path, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=start, flush_secs=30)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            for name, value in row.items():
                if name == "loss_by_sigma":
                    for bucket, mean in enumerate(value):
                        if mean is not None:
                            self._writer.add_scalar(f"loss_by_sigma/{bucket}", mean, row["step"])
                elif name != "step" and isinstance(value, int | float) and math.isfinite(value):
                    self._writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        self._writer.close()
