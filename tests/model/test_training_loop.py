"""What the loop writes, when it saves, and how it ends."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_training import Lines, MemoryFeed, loop_of, random_batch, tiny_model, trainer_of

from model.batches import LatentBatch
from model.training.loop import Diverged, Event
from model.training.metrics import MetricsFile, TensorBoard, read_lines
from model.training.stopping import StoppedBySignal
from model.training.trainer import StepOutcome
from warehouse.errors import UsageError


def test_a_line_a_step_with_the_loss_by_sigma(tmp_path: Path) -> None:
    sink = Lines()
    loop = loop_of(trainer_of(tiny_model()), tmp_path, sink)
    assert loop.run(0, 7) == 7
    assert [row["step"] for row in sink.rows] == list(range(7))
    row = sink.rows[-1]
    assert (row["phase"], row["lr"], row["samples"]) == ("first", 1e-2, 6)
    assert row["tokens"] == 6 * 16 + int(random_batch(6).lengths.sum())
    assert math.isfinite(row["loss"])  # type: ignore[arg-type]
    assert len(row["loss_by_sigma"]) == 8  # type: ignore[arg-type]


def test_buckets_of_sigma_hold_the_mean_of_their_rows(tmp_path: Path) -> None:
    sink, trainer = Lines(), trainer_of(tiny_model(), budget=40)
    loop = loop_of(trainer, tmp_path, sink)
    loop.run(0, 3)
    outcome = loop._previous
    assert outcome is not None
    sigma = torch.cat([rows.sigma for rows in outcome.rows])
    loss = torch.cat([rows.loss for rows in outcome.rows])
    for bucket, mean in enumerate(sink.rows[-1]["loss_by_sigma"]):  # type: ignore[arg-type, var-annotated]
        own = loss[(sigma * 8).long().clamp(max=7) == bucket]
        assert mean is None if not len(own) else mean == pytest.approx(float(own.mean()), rel=1e-5)


def test_events_come_before_the_save_and_at_the_end(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    loop = loop_of(trainer_of(tiny_model()), tmp_path, Lines(), save=Event(4, lambda n: seen.append(("save", n))))
    loop.events = [Event(2, lambda n: seen.append(("look", n)))]
    loop.run(0, 5)
    assert seen == [("look", 2), ("look", 4), ("save", 4), ("look", 5), ("save", 5)]


def test_a_loss_that_is_no_number_stops_before_any_weight_changes(tmp_path: Path) -> None:
    def poisoned(step: int) -> LatentBatch:
        batch = random_batch(step)
        if step == 2:
            latents = batch.latents.clone()
            latents[4] = math.nan
            return replace(batch, latents=latents)
        return batch

    model, saved = tiny_model(), []
    loop = loop_of(trainer_of(model, MemoryFeed(poisoned)), tmp_path, Lines(), save=Event(1, saved.append))
    loop.names = lambda step, positions: [f"image-{step}-{p}" for p in positions]
    before: dict[str, torch.Tensor] = {}
    loop.events = [Event(2, lambda n: before.update({k: v.clone() for k, v in model.state_dict().items()}))]
    with pytest.raises(Diverged, match=r"step 2 is not finite \(sample image-2-4 at sigma 0") as caught:
        loop.run(0, 5)
    assert caught.value.exit_code == 9
    assert saved == [1, 2]
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    (diagnosis,) = (tmp_path / "diagnosis").iterdir()
    told = json.loads(diagnosis.read_text())
    assert (told["step"], told["rows"][0]["sample"], told["rows"][0]["loss"]) == (2, "image-2-4", "nan")
    assert 0 < told["rows"][0]["sigma"] < 1
    assert [row["sample"] for row in told["rows"][1:]] == [None] * 5  # the lake is read for the guilty alone


@pytest.mark.parametrize("log_every", [1, 50])
@pytest.mark.parametrize(("save_every", "kept"), [(1, [1, 2]), (3, [])])
def test_on_a_gpu_a_gradient_that_is_infinite_is_neither_seen_nor_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_every: int, save_every: int, kept: list[int]
) -> None:
    trainer = trainer_of(tiny_model())
    clip, seen, sink = trainer._clip, [], Lines()
    accepted: list[int] = []

    def clipped() -> torch.Tensor:
        accepted.append(len(accepted))
        return clip() * (math.inf if len(accepted) == 3 else 1.0)

    monkeypatch.setattr(trainer, "_clip", clipped)
    loop = loop_of(trainer, tmp_path, sink, save=Event(save_every, seen.append), log_every=log_every)
    loop.events = [Event(save_every, seen.append)]
    on_gpu = SimpleNamespace(compute=torch.float32, device=torch.device("cuda"))
    accept = loop._accept

    def late(outcome: StepOutcome) -> None:
        with monkeypatch.context() as patch:  # only the loop believes that it is on a GPU
            patch.setattr(trainer, "precision", on_gpu)
            accept(outcome)

    monkeypatch.setattr(loop, "_accept", late)
    with pytest.raises(Diverged, match=r"the gradient of step 2 is not finite \(its norm is inf\)"):
        loop.run(0, 9)
    assert seen == [done for done in kept for _ in "es"]
    (diagnosis,) = (tmp_path / "diagnosis").iterdir()
    told = json.loads(diagnosis.read_text())
    assert (told["step"], told["grad_norm"]) == (2, "inf")
    assert [row["sample"] for row in told["rows"]] == [str(row["position"]) for row in told["rows"]]
    assert all(math.isfinite(row["grad_norm"]) for row in sink.rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_end_of_the_step(tmp_path: Path, number: signal.Signals) -> None:
    saved: list[int] = []

    def kills(step: int) -> LatentBatch:
        if step == 2:
            os.kill(os.getpid(), number)
        return random_batch(step)

    sink = Lines()
    loop = loop_of(trainer_of(tiny_model(), MemoryFeed(kills)), tmp_path, sink, save=Event(100, saved.append))
    handler = signal.getsignal(number)
    with pytest.raises(StoppedBySignal, match=f"stopped by {number.name} after step") as caught:
        loop.run(0, 9)
    assert caught.value.exit_code == 128 + number
    assert saved == [len(sink.rows)]
    assert saved[0] <= 4
    assert signal.getsignal(number) == handler


def test_a_step_without_rows_changes_nothing(tmp_path: Path) -> None:
    def empty(step: int) -> LatentBatch:
        batch = random_batch(step)
        return replace(
            batch,
            positions=(),
            latents=batch.latents[:0],
            references=(),
            context=batch.context[:0],
            lengths=batch.lengths[:0],
        )

    model, sink = tiny_model(), Lines()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    loop_of(trainer_of(model, MemoryFeed(empty)), tmp_path, sink).run(0, 2)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert [row["samples"] for row in sink.rows] == [0, 0]


def test_metrics_go_on_where_the_run_does_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = MetricsFile(path, 0)
    first.write([{"step": n, "loss": 1 / 3} for n in range(5)])
    first.close()
    with path.open("a") as file:
        file.write('{"step": 5, "lo')
    again = MetricsFile(path, 3)
    again.write([{"step": 3, "loss": 0.5}])
    again.close()
    assert [(row["step"], row["loss"]) for row in read_lines(path)] == [(0, 1 / 3), (1, 1 / 3), (2, 1 / 3), (3, 0.5)]
    path.write_text('{"step": 1}\nno line\n{"step": 2}\n')
    with pytest.raises(UsageError, match="damaged in line 2"):
        MetricsFile(path, 3)


def test_tensorboard_has_the_same_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sink = Lines()
    loop = loop_of(trainer_of(tiny_model()), tmp_path, sink)
    board = TensorBoard(tmp_path / "tensorboard", 0)
    loop.sinks = [sink, board]
    loop.run(0, 3)
    board.close()
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [event.value for event in read.Scalars("loss")] == pytest.approx([row["loss"] for row in sink.rows])
    assert "grad_norm" in read.Tags()["scalars"]
