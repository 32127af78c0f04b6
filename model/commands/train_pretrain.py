"""glyphmill train pretrain: from a lake and a curriculum to checkpoints."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from warehouse.places import place

if TYPE_CHECKING:
    from model.training.prepare import Need, Prepared

app = typer.Typer()


class How(StrEnum):
    line = "line"
    page = "page"


class PrecisionName(StrEnum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


MODEL, DATA, WHEN, RANKS = "Model", "Data", "What is written when, in steps (0: never)", "Ranks and memory"

CurriculumOption = Annotated[
    str, typer.Option("--curriculum", "-c", help="A TOML file, or the name of one that comes with Glyphmill.")
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; the same again goes on with it.")]
LakeOption = Annotated[
    PurePath | None,
    typer.Option(
        "--lake", "-L", envvar="GLYPHMILL_LAKE",
        help="Folder of the lake, or s3://bucket/prefix; needed until the run has its plan.",
        show_default=False, parser=place, metavar="LAKE",
    ),
]  # fmt: skip
VaeOption = Annotated[Path, typer.Option("--vae", help="Folder of a VAE in diffusers layout.", rich_help_panel=MODEL)]
TextOption = Annotated[
    str | None,
    typer.Option(
        "--text", help="Folder of a text encoder, or 'characters'; if not said, what lies beside --start-from, or "
        "characters.", rich_help_panel=MODEL, show_default=False,
    ),
]  # fmt: skip
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="config.json, or tiny, small (if not said), base, qwen-image, qwen-image-edit-2511, "
        "qwen-image-2.",
        rich_help_panel=MODEL, show_default=False,
    ),
]  # fmt: skip
StartOption = Annotated[
    Path | None,
    typer.Option(
        "--start-from", help="Weights to begin with, in diffusers layout; their configuration is the model's.",
        rich_help_panel=MODEL, show_default=False,
    ),
]  # fmt: skip
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of weights, noise and order.", rich_help_panel=MODEL)]
RateOption = Annotated[
    float | None,
    typer.Option("--learning-rate", "--lr", help="For phases that name none.", rich_help_panel=MODEL,
                 show_default=False),
]  # fmt: skip
PrecisionOption = Annotated[
    PrecisionName, typer.Option("--precision", help="auto: bf16 on a GPU.", rich_help_panel=MODEL)
]
CompileOption = Annotated[bool, typer.Option("--compile", help="torch.compile, block by block.", rich_help_panel=MODEL)]
ProducersOption = Annotated[
    int, typer.Option("--producers", min=0, help="Processes that encode.", rich_help_panel=DATA)
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="Address of a feed that is served elsewhere.", rich_help_panel=DATA),
]
BudgetOption = Annotated[
    float | None,
    typer.Option("--budget-gb", min=0.001, help="Most gigabytes of latents on the disk; half of its room if not said.",
                 rich_help_panel=DATA, show_default=False),
]  # fmt: skip
AheadOption = Annotated[
    int, typer.Option("--ahead", min=0, help="Steps that producers may be before the slowest rank.",
                      rich_help_panel=DATA),
]  # fmt: skip
HoldOutOption = Annotated[
    float, typer.Option("--hold-out", min=0.0, max=0.5, help="Share kept for validation.", rich_help_panel=DATA)
]
HeldOption = Annotated[
    int, typer.Option("--validation-samples", min=0, help="Of these, so many a phase.", rich_help_panel=DATA)
]
PromptsOption = Annotated[
    Path | None,
    typer.Option("--prompts", help="One prompt a line, for sample sheets; held-out captions if none.", exists=True,
                 dir_okay=False, rich_help_panel=DATA),
]  # fmt: skip
SaveOption = Annotated[int, typer.Option("--save-every", min=0, help="Checkpoints.", rich_help_panel=WHEN)]
ValidateOption = Annotated[int, typer.Option("--validate-every", min=0, help="Validation.", rich_help_panel=WHEN)]
SampleOption = Annotated[int, typer.Option("--sample-every", min=0, help="Sample sheets.", rich_help_panel=WHEN)]
LogOption = Annotated[
    int, typer.Option("--log-every", min=1, help="Metrics are written together.", rich_help_panel=WHEN)
]
BoardOption = Annotated[
    bool, typer.Option("--tensorboard/--no-tensorboard", help="Its events, too.", rich_help_panel=WHEN)
]
KeepOption = Annotated[int, typer.Option("--keep", min=1, help="Newest checkpoints that stay.", rich_help_panel=WHEN)]
KeepEveryOption = Annotated[
    int | None, typer.Option("--keep-every", min=1, help="Multiples that stay too.", rich_help_panel=WHEN)
]
UntilOption = Annotated[
    int | None, typer.Option("--until", min=1, help="Stop after so many steps in all.", rich_help_panel=WHEN)
]
AcOption = Annotated[
    str,
    typer.Option("--ac", help="Activation checkpointing: none, full, selective, or N: every N-th block.",
                 rich_help_panel=RANKS),
]  # fmt: skip
TokensOption = Annotated[
    int | None,
    typer.Option("--micro-tokens", min=1, help="Most tokens of one forward pass; a batch is cut into such.",
                 rich_help_panel=RANKS),
]  # fmt: skip
TpOption = Annotated[int, typer.Option("--tp", min=1, help="Ranks that share each block.", rich_help_panel=RANKS)]
FsdpOption = Annotated[
    int | None,
    typer.Option("--fsdp", min=1, help="Ranks that share weights, each with rows of its own; all others if not said.",
                 rich_help_panel=RANKS, show_default=False),
]  # fmt: skip
ReplicateOption = Annotated[
    int, typer.Option("--replicate", min=1, help="Copies of all that, for gathers within an island (hybrid sharding).",
                      rich_help_panel=RANKS),
]  # fmt: skip
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, help="Of torch; all cores if not said.", rich_help_panel=RANKS, show_default=False
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda.", rich_help_panel=RANKS)]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Refuse to begin: there must be a checkpoint.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and train nothing.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
SamplerOption = Annotated[
    int, typer.Option("--sampler-steps", min=1, help="Of the sampler, for sheets.", rich_help_panel=DATA)
]
GuidanceOption = Annotated[
    float, typer.Option("--guidance", min=0.0, help="Of the sampler, for sheets; 1: none.", rich_help_panel=DATA)
]
ReadOption = Annotated[
    How | None,
    typer.Option("--read-back", help="Let OCR read the sample sheets: as one line each, or as pages.",
                 rich_help_panel=DATA, show_default=False),
]  # fmt: skip


@app.command(name="pretrain")
def pretrain(
    curriculum: CurriculumOption,
    out: OutOption,
    vae: VaeOption,
    lake: LakeOption = None,
    model: ModelOption = None,
    start: StartOption = None,
    text: TextOption = None,
    seed: SeedOption = 0,
    learning_rate: RateOption = None,
    precision: PrecisionOption = PrecisionName.auto,
    compile_blocks: CompileOption = False,
    producers: ProducersOption = 1,
    store: StoreOption = None,
    budget_gb: BudgetOption = None,
    ahead: AheadOption = 16,
    hold_out: HoldOutOption = 0.01,
    validation_samples: HeldOption = 32,
    prompts: PromptsOption = None,
    sampler_steps: SamplerOption = 20,
    guidance: GuidanceOption = 4.0,
    read_back: ReadOption = None,
    save_every: SaveOption = 500,
    validate_every: ValidateOption = 500,
    sample_every: SampleOption = 500,
    log_every: LogOption = 10,
    tensorboard: BoardOption = True,
    keep: KeepOption = 3,
    keep_every: KeepEveryOption = None,
    until: UntilOption = None,
    ac: AcOption = "none",
    micro_tokens: TokensOption = None,
    tp: TpOption = 1,
    fsdp: FsdpOption = None,
    replicate: ReplicateOption = 1,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train an MMDiT from the lake's shards. Called again with the same --out, it goes on where it was; after a signal
    it has saved. Under torchrun every rank runs the same command.

    Example: [bold]glyphmill train pretrain -c glyphs --lake lake --vae vae/vae --out runs/first[/bold]
    """
    import torch

    from model import readback
    from model.checkpoint_files import latest
    from model.training.prepare import Asked, needs, parameters, prepare
    from model.training.pretrain import Course, done_steps, read_prompts
    from model.training.pretrain import pretrain as train
    from model.training.progress import bar
    from model.training.ranks import joined
    from model.training.run_folder import opened
    from model.training.start import START
    from warehouse.errors import UsageError

    if threads is not None:
        torch.set_num_threads(threads)
    reader = None if read_back is None else partial(readback.read_back, how=read_back.value, workers=1)
    asked = Asked(
        curriculum=curriculum, lake=lake, vae=vae, model=model, text=text, start=start, seed=seed,
        learning_rate=learning_rate, precision=precision.value, micro_tokens=micro_tokens, ac=ac, tp=tp, fsdp=fsdp,
        replicate=replicate, hold_out=hold_out, validation_samples=validation_samples,
    )  # fmt: skip
    course = Course(
        save_every=save_every, validate_every=validate_every, sample_every=sample_every, log_every=log_every, keep=keep,
        keep_every=keep_every, producers=producers, store=store, budget_gb=budget_gb, ahead=ahead,
        prompts=read_prompts(prompts) if prompts else (), sampler_steps=sampler_steps, guidance=guidance,
        tensorboard=tensorboard, compile=compile_blocks, until=until,
    )  # fmt: skip
    with ExitStack() as stack:
        ranks = stack.enter_context(joined(device))

        def say(line: str) -> None:
            if ranks.first and not quiet:
                sys.stderr.write(f"{line}\n")

        run = stack.enter_context(opened(out, dry_run=dry_run, first=ranks.first))
        if resume and latest(run.checkpoints) is None:
            raise UsageError(f"--resume: {out} has no checkpoint; leave the option away to begin")
        prepared = prepare(asked, run, ranks.device, ranks.world, say)
        done, steps = done_steps(prepared), prepared.plan.steps
        found = needs(prepared)
        if ranks.first:
            _tell(prepared, found, parameters(prepared), done, quiet and not dry_run)
        if dry_run:
            return
        # `glyphmill model export` finds the parts by these, from wherever it is called
        parts = {"vae": str(vae.resolve()), "text": str(prepared.text_folder.resolve())}
        if prepared.start is not None:
            parts[START] = str(prepared.start.place.resolve())
        run.begin(prepared.identity, {"model": model, "lake": str(lake), "curriculum": curriculum, **parts})
        if done >= steps:
            typer.echo(f"done: {done} steps, the last checkpoint is in {run.checkpoints}")
            return
        taken = train(
            prepared, course, lambda d, t: stack.enter_context(bar("training", d, t, enabled=not quiet)), reader, say
        )
        if ranks.first:
            typer.echo(f"done: {taken} of {steps} steps, the last checkpoint is in {run.checkpoints}")


def _tell(prepared: Prepared, needs: list[Need], count: int, done: int, quiet: bool) -> None:
    """What will be trained, and what that takes."""
    from model.memory import size_told

    if quiet:
        return
    plan, parallel = prepared.plan, prepared.parallel
    typer.echo(
        f"{plan.curriculum.name}: {plan.steps} steps, {done} done; {count / 1e6:.2f} M parameters; "
        f"{prepared.precision.compute} on {prepared.precision.device.type}, tp {parallel.tp} x fsdp {parallel.fsdp}, "
        f"activation checkpointing {prepared.checkpointing}"
    )
    for need in needs:
        held = need.memory.parameters + need.memory.gradients + need.memory.optimizer + need.memory.ema
        typer.echo(
            f"  {need.phase}: about {size_told(need.memory.total)} of memory for {need.rows} x {need.tokens} tokens at "
            f"once on each rank: weights, gradients, moments {size_told(held)}, activations "
            f"{size_told(need.memory.activations)}, comes and goes {size_told(need.memory.working)}"
        )
