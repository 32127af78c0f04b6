"""Everything that can be known, and refused, before the first step: the plan, the model, what it will need."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch

from model.config import MMDiTConfig
from model.curriculum.load import load
from model.curriculum.schema import Curriculum
from model.feed.encoders import Encoders, load_encoders
from model.feed.messages import Encoding
from model.memory import DType, MemoryEstimate, count, estimate
from model.parallel_config import Checkpointing, ParallelConfig
from model.plan.plan import Plan
from model.ranks import on_first
from model.text.characters import CharacterEncoder
from model.text.encoder import Prompt, save_text
from model.training import held_out
from model.training.precision import Name as PrecisionName
from model.training.precision import Precision, chosen
from model.training.presets import DEFAULT, check_fit, model_config, named_config, width_of
from model.training.resting import Resting
from model.training.run_folder import RunFolder
from model.training.start import START, Start, find_start
from model.vae_loading import latent_identity, load_vae
from warehouse.errors import UsageError
from warehouse.lake import Lake

CHARACTERS = "characters"
Note = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What the command was asked for. `model`, `text`: a name or a folder; without a model, that of `start`, which are
    the weights to begin with, or a small one; without a text encoder, that of these weights, or one of characters.
    `learning_rate`: for phases that name none.
    `micro_tokens`: most tokens of one forward pass, padding counted. `hold_out`: share of samples kept for validation,
    of which `validation_samples` a phase are looked at."""

    curriculum: str
    lake: PurePath | None
    vae: Path
    model: str | None = None
    text: str | None = None
    seed: int = 0
    learning_rate: float | None = None
    precision: PrecisionName = "auto"
    micro_tokens: int | None = None
    ac: str = "none"
    tp: int = 1
    fsdp: int | None = None
    replicate: int = 1
    hold_out: float = 0.01
    validation_samples: int = 32
    start: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """`held_out`: the plan of the samples kept for validation, None where there are none. `identity`: what decides the
    numbers of this run; a run and its checkpoints go on only where it is the same. `start`: the weights it begins with,
    None for drawn ones."""

    asked: Asked
    run: RunFolder
    plan: Plan
    held_out: Plan | None
    resting: Resting
    text_folder: Path
    config: MMDiTConfig
    parallel: ParallelConfig
    checkpointing: Checkpointing
    precision: Precision
    identity: dict[str, Any]
    start: Start | None

    @property
    def encoders(self) -> Encoders:
        """To be asked what they are; they encode within `resting.awake()`."""
        return self.resting.encoders


def prepare(asked: Asked, run: RunFolder, device: torch.device, world: int, note: Note) -> Prepared:
    """Make or open what a run needs in its folder. All ranks must call it; the first one writes.

    Raises UsageError and LakeError for whatever does not fit together; what is there already is left as it is.
    """
    checkpointing = parse_checkpointing(asked.ac)
    parallel = _layout(asked, world)
    if asked.start is not None:
        note(f"looking at the weights in {asked.start}")
    start = on_first(lambda: find_start(asked.start, run, _of_file(asked)))
    text_folder = on_first(lambda: _text_folder(asked, run, start))
    encoders = load_encoders(asked.vae, text_folder, device=str(device))
    encoding = encoders.encoding
    config = _config(asked, start, encoding)
    _tell_other_latents(start, encoding, note)
    parallel.check(config)
    had = on_first(lambda: _make_plans(asked, run, note))
    plan = Plan.open(run.plan)
    precision = chosen(asked.precision, device)
    return Prepared(
        asked=asked,
        run=run,
        plan=plan,
        held_out=Plan.open(run.held_out) if had else None,
        resting=Resting(encoders),
        text_folder=text_folder,
        config=config,
        parallel=parallel,
        checkpointing=checkpointing,
        precision=precision,
        identity={
            "algorithm": "flow matching",
            "model": config.to_dict(),
            "vae": encoding.vae,
            "text": encoding.text,
            "plan": plan.digest,
            "seed": asked.seed,
            "precision": precision.name,
            **({} if start is None else {START: start.digest}),
        },
        start=start,
    )


def _layout(asked: Asked, world: int) -> ParallelConfig:
    """How the ranks share the work. Raises UsageError where they are not as many as that takes."""
    if not asked.fsdp:
        return ParallelConfig.of_world(world, tp=asked.tp, replicate=asked.replicate)
    parallel = ParallelConfig(asked.tp, asked.fsdp, asked.replicate)
    if parallel.world != world:
        raise UsageError(
            f"tp {parallel.tp} x fsdp {parallel.fsdp} x replicate {parallel.replicate} are {parallel.world} ranks, "
            f"{world} were started: torchrun --nproc-per-node {parallel.world} -m glyphmill ..."
        )
    return parallel


def parse_checkpointing(told: str) -> Checkpointing:
    """none, full, selective, every-N or only N. Raises UsageError for anything else."""
    return Checkpointing.parse(f"every-{told}" if told.isdigit() else told)


@dataclass(frozen=True)
class Need:
    """The dearest step of a phase on one GPU: `rows` of `tokens` tokens in one forward pass."""

    phase: str
    rows: int
    tokens: int
    memory: MemoryEstimate


def needs(prepared: Prepared) -> list[Need]:
    """What each phase needs of one rank's memory, by its largest batch. Texts are as long as the longest of the phase's
    first step; references as large as the target."""
    found = []
    side = prepared.encoders.encoding.factor * prepared.config.patch_size
    dtype: DType = "fp32" if prepared.precision.compute == torch.float32 else "bf16"
    budget = prepared.asked.micro_tokens
    for tables in prepared.plan.phases:
        planned = prepared.plan.batch(tables.first)
        told = [Prompt(sample.caption or " ") for sample in planned.samples[:64]]
        text = max(prepared.encoders.text.count(prompt) for prompt in told)
        best: Need | None = None
        for stream in tables.streams:
            image = (stream.height // side) * (stream.width // side) * (2 if stream.task == "ti2i" else 1)
            rows = -(-stream.batch // prepared.parallel.data_world)
            if budget is not None:
                rows = max(1, min(rows, budget // (image + text)))
            cost = estimate(
                prepared.config, image + text, rows, prepared.parallel, prepared.checkpointing, dtype,
                ema=prepared.plan.curriculum.optimizer.ema > 0,
            )  # fmt: skip
            if best is None or cost.total > best.memory.total:
                best = Need(tables.phase.name, rows, image + text, cost)
        if best is not None:
            found.append(best)
    return found


def parameters(prepared: Prepared) -> int:
    """Parameters of the model."""
    return count(prepared.config).total


def _text_folder(asked: Asked, run: RunFolder, start: Start | None) -> Path:
    """The folder of the text encoder; one of characters is written into the run's. Raises UsageError where nothing
    tells what encoder the weights to begin with were trained with."""
    told = asked.text
    if told is None and start is not None:
        if start.text is None:
            raise UsageError(f"no text encoder lies beside {start.place}: name the one it was trained with by --text")
        return start.text
    if told is not None and told != CHARACTERS:
        return Path(told)
    if not (run.text / "config.json").exists():
        theirs = start is not None and asked.model is None
        width = start.config.joint_attention_dim if start and theirs else width_of(asked.model or DEFAULT)
        save_text(CharacterEncoder(width), run.text)
    return run.text


def _of_file(asked: Asked) -> MMDiTConfig | None:
    """The configuration that was named for a file of weights, whose shapes do not tell everything."""
    if asked.start is None or asked.model is None or not asked.start.is_file():
        return None
    return named_config(asked.model)


def _config(asked: Asked, start: Start | None, encoding: Encoding) -> MMDiTConfig:
    """The model's: what was asked for, or what the weights to begin with are of, which must be the same if both are."""
    channels, factor, width = encoding.channels, encoding.factor, encoding.width
    if start is not None and asked.model is None:
        check_fit(start.config, str(start.place), channels=channels, width=width)
        return start.config
    config = model_config(asked.model or DEFAULT, channels=channels, factor=factor, width=width)
    if start is not None and start.config != config:
        raise UsageError(f"the weights in {start.place} are not of --model {asked.model}: leave --model away")
    return config


def _tell_other_latents(start: Start | None, encoding: Encoding, note: Note) -> None:
    """A word where the weights to begin with lie beside an autoencoder whose latents are others."""
    theirs = None if start is None else start.place / "vae"
    if theirs is not None and theirs.is_dir() and latent_identity(load_vae(theirs)) != encoding.vae:
        note(f"the latents of --vae are others than those of {theirs}, which these weights were trained on")


def _make_plans(asked: Asked, run: RunFolder, note: Note) -> bool:
    """Whether there is a plan of held-out samples; both are made where there is none yet."""
    curriculum = load(asked.curriculum)
    if asked.learning_rate is not None:
        curriculum = curriculum.with_rate(asked.learning_rate)
    if run.plan.exists():
        there = Plan.open(run.plan).curriculum
        _refuse_other_curriculum(asked, there, curriculum, run)
        if asked.hold_out > 0 and asked.validation_samples > 0 and there.digest == curriculum.digest:
            note(
                f"no validation: {run.plan} was made beforehand, and nothing is held out of it; where this command "
                "makes the plan, --hold-out is"
            )
    else:
        if asked.lake is None:
            raise UsageError(f"{run.path} has no plan yet: say --lake, where its samples are")
        lake = Lake.open(asked.lake, read_only=True)
        shutil.rmtree(run.held_out, ignore_errors=True)  # of an attempt that did not come to its plan
        if asked.hold_out > 0 and asked.validation_samples > 0:
            note("selecting samples to hold out")
            reason = held_out.make_plan(
                curriculum, lake, run.held_out, asked.hold_out, asked.validation_samples, asked.seed
            )
            if reason is not None:
                note(f"no validation: --hold-out {asked.hold_out:g} holds nothing out; a larger one may ({reason})")
        Plan.make(held_out.without(curriculum, asked.hold_out), lake, run.plan, asked.seed, note)
    return run.held_out.exists()


def _refuse_other_curriculum(asked: Asked, there: Curriculum, curriculum: Curriculum, run: RunFolder) -> None:
    # one that `glyphmill train plan` made holds nothing out
    if there.digest not in (held_out.without(curriculum, asked.hold_out).digest, curriculum.digest):
        raise UsageError(
            f"{run.plan} was made of another curriculum ({there.name}) than {asked.curriculum} is now, or with another "
            "--hold-out or --learning-rate: ask for what it was made with, or train into another folder (a recipe is "
            "changed by `glyphmill train change`)"
        )
