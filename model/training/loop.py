"""The course of a training from one step to another: what is written when, and how it ends."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from model.ranks import rank
from model.training.metrics import line
from model.training.stopping import StoppedBySignal, listening
from model.training.trainer import StepOutcome, Trainer
from warehouse.errors import GlyphmillError
from warehouse.files import replacing


class Diverged(GlyphmillError):  # noqa: N818 - the words say what it is
    """The loss or the gradient is not finite. What was seen is saved; the weights of before are in the last
    checkpoint."""

    exit_code = 9


class Sink(Protocol):
    """Where metrics go."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None: ...


@dataclass(frozen=True)
class Event:
    """`work(done)` after every `every` steps and after the last, `done` being the number of steps taken."""

    every: int
    work: Callable[[int], None]
    at_end: bool = True

    def due(self, done: int, stop: int) -> bool:
        return (self.every > 0 and done % self.every == 0) or (self.at_end and done == stop)


@dataclass(frozen=True)
class LoopSettings:
    """`log_every`: steps whose numbers are fetched and written together. `peak_flops`: of all devices together, per
    second, for the estimate of their use. `diagnosis`: folder for what is known of a step that went wrong."""

    diagnosis: Path
    log_every: int = 10
    peak_flops: float | None = None


@dataclass
class Loop:
    """`events` come in order after a step, then `save`, so that a checkpoint stands for all of them. `names` gives what
    the rows at some positions of a step are, for the diagnosis; it must not raise."""

    trainer: Trainer
    settings: LoopSettings
    save: Event
    events: Sequence[Event] = ()
    sinks: Sequence[Sink] = ()
    progress: Callable[[int, dict[str, Any]], None] | None = None
    names: Callable[[int, Sequence[int]], list[str]] | None = None
    _pending: list[StepOutcome] = field(default_factory=list)
    _previous: StepOutcome | None = None

    def run(self, start: int, stop: int) -> int:
        """Take steps `start` to `stop` - 1; gives the number of steps taken in all. Raises StoppedBySignal after
        saving where a signal asked to stop, Diverged where a loss or a gradient is not finite."""
        with listening() as asked:
            for number in range(start, stop):
                outcome = self.trainer.step(number, stop=asked.asked is not None, accept=self._accept)
                self._previous = outcome
                self._pending.append(outcome)
                done = number + 1
                events = [event for event in self.events if event.due(done, stop)]
                saves = outcome.stop or self.save.due(done, stop)
                if events or saves or done == stop or done % self.settings.log_every == 0:
                    self._flush()
                for event in events:
                    event.work(done)
                if saves:
                    self.save.work(done)
                if outcome.stop and done < stop:
                    raise self._stopped(done, asked.asked)
        return max(start, stop)

    def _stopped(self, done: int, number: int | None) -> StoppedBySignal:
        import signal

        number = signal.SIGTERM if number is None else number  # another rank was asked
        name = signal.Signals(number).name
        code = 128 + number
        return StoppedBySignal(
            f"stopped by {name} after step {done}, which is saved; run the same command to go on (exit code {code})",
            number,
        )

    def _accept(self, outcome: StepOutcome) -> None:
        """Refuse a step that went wrong. On a CPU before it changes a weight; on a GPU one step later, so that the
        device is never waited for. Nothing is seen or saved of its weights in either case: a flush comes before each
        event and each checkpoint, and looks at every step since the last one, the newest among them."""
        if self.trainer.precision.device.type == "cpu":
            self._check(outcome)
        elif self._previous is not None:
            self._check(self._previous)

    def _check(self, outcome: StepOutcome) -> None:
        norm = float(outcome.record.grad_norm)
        # with several ranks only the norm is the same number everywhere, and a loss that is not finite spoils it
        alone = self.trainer.team.data_ranks == 1
        loss = float(outcome.record.sums[0]) if alone else 0.0
        if not (math.isfinite(norm) and math.isfinite(loss)):
            raise self._diverged(outcome, norm)

    def _diverged(self, outcome: StepOutcome, norm: float) -> Diverged:
        step = outcome.record.step
        rows = self._rows(outcome)
        bad = [row for row in rows if not math.isfinite(row["loss"])]
        told = {
            "step": step,
            "phase": outcome.record.phase,
            "lr": outcome.record.rate,
            "grad_norm": str(norm),
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "rows": [{**row, "loss": str(row["loss"])} for row in sorted(rows, key=lambda row: row not in bad)],
        }
        path = self.settings.diagnosis / f"step-{step:09d}-rank-{rank()}-{time.time_ns()}.json"
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        # with several ranks the loss may be another rank's, and spoils the norm of all
        what = "loss" if bad else "gradient"
        which = f"sample {bad[0]['sample']} at sigma {bad[0]['sigma']:.4f}" if bad else f"its norm is {norm}"
        return Diverged(
            f"the {what} of step {step} is not finite ({which}): nothing of it was saved; see {path}, then lower the "
            "learning rate or take that sample out, and run again from the last checkpoint"
        )

    def _rows(self, outcome: StepOutcome) -> list[dict[str, Any]]:
        """What is known of each row. Named are those whose loss is not finite, or all where there is none of these: to
        name one, the lake is read."""
        positions = [p for rows in outcome.rows for p in rows.positions]
        losses = torch.cat([rows.loss for rows in outcome.rows]).tolist() if outcome.rows else []
        sigma = torch.cat([rows.sigma for rows in outcome.rows]).tolist() if outcome.rows else []
        bad = [p for p, value in zip(positions, losses, strict=True) if not math.isfinite(value)] or positions
        called = self.names(outcome.record.step, bad) if self.names else [str(p) for p in bad]
        names = dict(zip(bad, called, strict=True))
        return [
            {"position": p, "sample": names.get(p), "sigma": s, "loss": value}
            for p, s, value in zip(positions, sigma, losses, strict=True)
        ]

    def _flush(self) -> None:
        """Fetch what the steps since the last flush gave, in one transfer, add it up over ranks, and write it. Raises
        Diverged, and writes nothing, where one of them went wrong."""
        if not self._pending:
            return
        records = [outcome.record for outcome in self._pending]
        width = max(len(record.sums) for record in records)
        table = torch.stack([torch.nn.functional.pad(r.sums, (0, width - len(r.sums))) for r in records])
        counts = torch.tensor([[r.samples, r.tokens, r.flops] for r in records], dtype=torch.float64)
        summed, counted = self.trainer.team.total(table), self.trainer.team.total(counts)
        norms = torch.stack([record.grad_norm for record in records]).tolist()
        rows = []
        for record, sums, norm, count in zip(records, summed, norms, counted.tolist(), strict=True):
            record.sums, record.grad_norm = sums[: len(record.sums)], torch.tensor(norm)
            record.samples, record.tokens, record.flops = int(count[0]), int(count[1]), count[2]
            rows.append(line(record, self.settings.peak_flops))
        for outcome, row in zip(self._pending, rows, strict=True):
            if not (math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"])):
                raise self._diverged(outcome, row["grad_norm"])
        for sink in self.sinks:
            sink.write(rows)
        if self.progress is not None:
            self.progress(records[-1].step + 1, rows[-1])
        self._pending.clear()
