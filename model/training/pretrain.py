"""Pre-training, from what was prepared to the last checkpoint: puts the rooms together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.batches import LatentBatch
from model.checkpoint import Retention, Role, TrainingState, latest, load_checkpoint, read_facts, save_checkpoint
from model.components import Components
from model.consumer import Consumer
from model.feed.local import local_feed
from model.feed.record import FOLDER
from model.initial import drawn, fill, stored
from model.mmdit import MMDiT
from model.parallelize import parallelize
from model.ranks import on_first, rank
from model.schedule import ScheduleConfig
from model.training.algorithm import FlowMatching
from model.training.cost import peak_flops, training_flops
from model.training.ema import Ema
from model.training.feeding import AHEAD, devices_here
from model.training.feeding import settings as feed_settings
from model.training.following import followed, names, rate, sheet
from model.training.grids import ReadBack, draw, write
from model.training.held_out import HeldOutSamples
from model.training.loop import Event, Loop, LoopSettings, Sink
from model.training.metrics import MetricsFile, TensorBoard
from model.training.micro_batches import image_tokens
from model.training.optimizer import OptimizerConfig, make_optimizer
from model.training.prepare import Note, Prepared
from model.training.progress import Progress
from model.training.team import Team
from model.training.trainer import StepSettings, Trainer
from model.training.validation import validate
from warehouse.errors import UsageError


@dataclass(frozen=True)
class Course:
    """When what is written, in steps; 0 never. `keep`: how many checkpoints stay, and `keep_every` these multiples.
    `producers`: encoding processes beside this one, at most `ahead` steps before the slowest rank; `budget_gb`: most
    gigabytes of what they encode, half of the disk's room if None; `store`: the address of a feed that is served
    elsewhere instead.
    `prompts`: rows of the sample sheets, held-out captions where there are none; `steps` of the sampler for them.
    `until`: stop after so many steps in all, as if that were the end."""

    save_every: int = 500
    validate_every: int = 500
    sample_every: int = 500
    log_every: int = 10
    keep: int = 3
    keep_every: int | None = None
    producers: int = 1
    store: str | None = None
    prompts: tuple[str, ...] = ()
    sampler_steps: int = 20
    guidance: float = 4.0
    tensorboard: bool = True
    compile: bool = False
    until: int | None = None
    budget_gb: float | None = None
    ahead: int = AHEAD


def pretrain(
    prepared: Prepared,
    course: Course,
    progress: Callable[[int, int], Progress] | None = None,
    read_back: ReadBack | None = None,
    note: Note = lambda line: None,
) -> int:
    """Train from the newest checkpoint, or from the start, to the plan's end; gives the number of steps taken in all.

    `progress(done, total)` is asked for a bar once both are known; `note` is told what a person should know. Raises
    UsageError for what does not fit the run, Diverged for a loss or gradient that is not finite, StoppedBySignal after
    saving.
    """
    run, plan, config = prepared.run, prepared.plan, prepared.config
    found = on_first(lambda: latest(run.checkpoints))
    model = _build(prepared, course.compile, filled=found is None)
    settings = plan.curriculum.optimizer
    optimizer = make_optimizer(
        model,
        OptimizerConfig(
            settings.name, (settings.beta1, settings.beta2), settings.eps, settings.weight_decay, settings.clip or None
        ),
        model.hidden_matrices(),
    )
    average = Ema(model, settings.ema) if settings.ema else None
    algorithm = FlowMatching(
        model, patch=config.patch_size, seed=prepared.asked.seed, timesteps=plan.curriculum.timesteps
    )
    role = Role(model, optimizer, average.shadow if average else None)
    start, facts = _resume(prepared, found, {"model": role})
    if average is not None:
        average.updates = int(facts.get("average_updates", 0))
    team = Team(prepared.parallel.tp)
    with ExitStack() as stack:
        consumer = stack.enter_context(_consumer(prepared, course, stack, note))
        if "feed" in facts:
            consumer.load_state_dict(facts["feed"])
        stop = min(consumer.steps, course.until or consumer.steps)
        if start >= stop:
            return start
        trainer = Trainer(
            algorithm,
            {"model": optimizer},
            {"model": average} if average is not None else {},
            consumer,
            lambda step: rate(consumer, step),
            prepared.precision,
            StepSettings(config.patch_size, prepared.asked.micro_tokens, settings.clip or None),
            team=team,
            flops=_flops(prepared) if _peak(prepared) else None,
        )

        def save(done: int) -> None:
            told = {"feed": consumer.state_dict(), "average_updates": average.updates if average else 0}
            state = TrainingState({"model": role}, told, prepared.identity)
            save_checkpoint(run.checkpoints, done, state, keep=Retention(course.keep, course.keep_every))

        loop = Loop(
            trainer,
            LoopSettings(run.diagnosis, course.log_every, _peak(prepared)),
            Event(course.save_every, save),
            _events(prepared, course, consumer, model, average, start, stack, read_back, note),
            _sinks(prepared, course, start, stack),
            progress(start, stop) if progress is not None and rank() == 0 else None,
            lambda step, positions: names(consumer, step, positions),
        )
        return loop.run(start, stop)


def done_steps(prepared: Prepared) -> int:
    """Steps that the newest checkpoint has behind it."""
    found = latest(prepared.run.checkpoints)
    return 0 if found is None else read_facts(found).step


def _build(prepared: Prepared, compile_blocks: bool, filled: bool) -> MMDiT:
    """The model, spread over the ranks. Its first weights are those asked for, or drawn from the seed alone; not
    `filled`, they are left to a checkpoint."""
    with torch.device("meta"):
        model = MMDiT(prepared.config)
    parallelize(
        model,
        prepared.parallel,
        prepared.checkpointing,
        device=prepared.precision.device,
        compute=prepared.precision.compute,
        compile_blocks=compile_blocks,
    )
    if filled:
        start, generator = prepared.start, torch.Generator().manual_seed(prepared.asked.seed)
        fill(model, drawn(prepared.config, generator) if start is None else stored(start.place, prepared.config))
    return model


def _resume(prepared: Prepared, found: Path | None, roles: Mapping[str, Role]) -> tuple[int, dict[str, Any]]:
    """The step to go on from and what the checkpoint tells; 0 and nothing where there is none."""
    if found is None:
        return 0, {}
    loaded = load_checkpoint(found, TrainingState(roles, {}, prepared.identity))
    return loaded.step, loaded.facts


def _consumer(prepared: Prepared, course: Course, stack: ExitStack, note: Note) -> Consumer:
    """This rank's end of the feed, which the first rank serves where no address of another is given."""
    place = prepared.parallel.place(rank())

    def serve() -> str:
        if course.store is not None:
            note(f"feed: asking {course.store}")
            return course.store
        if course.producers < 1:
            raise UsageError("0 producers and no --store: nobody would encode anything")
        settings = feed_settings(prepared.run.path, course.budget_gb, course.ahead)
        note(f"feed: at most {(settings.budget or 0) / 1e9:.3g} GB of latents in {prepared.run.path / FOLDER}")
        feed = local_feed(
            prepared.run.path,
            prepared.plan,
            prepared.asked.vae,
            prepared.text_folder,
            producers=course.producers,
            settings=settings,
            devices=devices_here(prepared.precision.device),
            host="127.0.0.1" if _one_machine() else "0.0.0.0",
        )
        return stack.enter_context(feed).url

    return Consumer(
        prepared.plan,
        on_first(serve),
        place.data_rank,
        place.data_world,
        member=place.tp_rank,
        vae=prepared.encoders.encoding.vae,
        text=prepared.encoders.encoding.text,
    )


def _one_machine() -> bool:
    return os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE")


def _events(
    prepared: Prepared,
    course: Course,
    consumer: Consumer,
    model: MMDiT,
    average: Ema | None,
    start: int,
    stack: ExitStack,
    read_back: ReadBack | None,
    note: Note,
) -> list[Event]:
    """Validation and sample sheets, both of the averaged weights where there are such. All ranks compute, since a
    model may be spread over them; the first one writes."""
    run = prepared.run
    unknown: set[str] = set()
    held = None if prepared.held_out is None else HeldOutSamples(prepared.held_out, prepared.resting.awake)
    weights = "model" if average is None else "average"
    file = MetricsFile(run.validation, start + 1) if rank() == 0 else None
    if file is not None:
        stack.callback(file.close)

    def look(done: int) -> None:
        if held is None:
            return
        phase = followed(consumer, done - 1).phase(done - 1).name
        samples = held.of_phase(phase)
        if samples is None and phase not in unknown:
            unknown.add(phase)
            note(f"no validation in phase {phase}: it came by a change of recipe, and no samples are held out for it")
        if not samples:
            return
        with average.applied() if average is not None else nullcontext():
            found = validate(
                model, samples, prepared.precision,
                patch=prepared.config.patch_size, seed=prepared.asked.seed, budget=prepared.asked.micro_tokens,
            )  # fmt: skip
        if file is not None:
            row = {"step": done, "phase": phase, "weights": weights, "loss": found.loss}
            file.write([row | {"loss_by_sigma": list(found.by_sigma), "samples": found.samples}])

    def sheets(done: int) -> None:
        settings = sheet(
            consumer, done, held, prompts=course.prompts, steps=course.sampler_steps, guidance=course.guidance,
            seed=prepared.asked.seed,
        )  # fmt: skip
        if settings is None:
            return
        with prepared.resting.awake() as encoders, average.applied() if average is not None else nullcontext():
            parts = Components(model, encoders.vae, encoders.text, ScheduleConfig())
            pictures = draw(parts, settings, prepared.precision)
        if rank() == 0:
            write(run.samples, done, pictures, settings, read_back)

    return [Event(course.validate_every, look), Event(course.sample_every, sheets)]


def _sinks(prepared: Prepared, course: Course, start: int, stack: ExitStack) -> list[Sink]:
    if rank() != 0:
        return []
    file = MetricsFile(prepared.run.metrics, start)
    stack.callback(file.close)
    if not course.tensorboard:
        return [file]
    board = TensorBoard(prepared.run.tensorboard, start)
    stack.callback(board.close)
    return [file, board]


def _flops(prepared: Prepared) -> Callable[[LatentBatch], float]:
    config = prepared.config
    return lambda batch: training_flops(config, batch.lengths.tolist(), image_tokens(batch, config.patch_size))


def _peak(prepared: Prepared) -> float | None:
    """What all devices can do at best per second, None where that is not known."""
    if prepared.precision.device.type != "cuda":
        return None
    peak = peak_flops(torch.cuda.get_device_name(prepared.precision.device))
    return None if peak is None else peak * prepared.parallel.world


def read_prompts(path: Path) -> tuple[str, ...]:
    """One prompt a line. Raises UsageError where there are none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"prompts {path} cannot be read: {error}") from error
    found = tuple(line.strip() for line in lines if line.strip())
    if not found:
        raise UsageError(f"prompts {path} has no line with a prompt")
    return found
