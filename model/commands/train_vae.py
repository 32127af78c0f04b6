"""glyphmill train: the commands of autoencoders."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warehouse.places import place

if TYPE_CHECKING:
    from model.vae_base import VaeConfig

app = typer.Typer()

NETWORK, LOSS, RUN = "Network", "Loss", "Run"
KEPT = "SELECT image_id FROM samples WHERE outcome = 'kept'"


class ViewName(StrEnum):
    fit = "fit"
    crop = "crop"


class FactorName(StrEnum):
    f8 = "8"
    f16 = "16"


LakeOption = Annotated[
    PurePath,
    typer.Option(
        "--lake",
        "-L",
        envvar="GLYPHMILL_LAKE",
        help="Folder of the lake, or s3://bucket/prefix.",
        show_default=False,
        parser=place,
        metavar="LAKE",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; the same again goes on with it.")]
SqlOption = Annotated[str, typer.Option("--sql", help="The images: gives image_id, and weight if you like.")]
ResolutionOption = Annotated[int, typer.Option("--resolution", help="Side of the squares, pixels.")]
ViewOption = Annotated[
    ViewName, typer.Option("--view", help="fit: an image scaled; crop: a part of it at its own scale.")
]
StepsOption = Annotated[int, typer.Option("--steps", min=1, help="Steps in all.")]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Images a step.")]
RateOption = Annotated[float, typer.Option("--learning-rate", "--lr", help="Highest learning rate.")]
L1Option = Annotated[float, typer.Option("--l1", help="Weight of the absolute error.", rich_help_panel=LOSS)]
L2Option = Annotated[float, typer.Option("--l2", help="Weight of the squared error.", rich_help_panel=LOSS)]
PerceptualOption = Annotated[
    float, typer.Option("--perceptual", help="Weight of what a reader sees.", rich_help_panel=LOSS)
]
ReaderOption = Annotated[
    Path | None, typer.Option("--reader", help="Folder of that reader, of train vae-reader.", rich_help_panel=LOSS)
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of weights, noise and order.", rich_help_panel=RUN)]
WorkersOption = Annotated[int, typer.Option("--workers", min=0, help="Processes that decode.", rich_help_panel=RUN)]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Of torch; all cores if not given.", rich_help_panel=RUN)
]
SaveOption = Annotated[int, typer.Option("--save-every", min=1, help="Steps.", rich_help_panel=RUN)]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda ...; cuda where there is one.", rich_help_panel=RUN)
]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder for selections, not the usual one.", rich_help_panel=RUN)
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.", rich_help_panel=RUN)]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Tell what would be done, and stop.", rich_help_panel=RUN)
]


@app.command("vae")
def train_vae(
    lake: LakeOption,
    out: OutOption,
    sql: SqlOption = KEPT,
    resolution: ResolutionOption = 64,
    view: ViewOption = ViewName.fit,
    steps: StepsOption = 1000,
    batch: BatchOption = 8,
    lr: RateOption = 4e-3,
    config: Annotated[
        Path | None, typer.Option("--config", help="config.json of a VAE, not one by width.", rich_help_panel=NETWORK)
    ] = None,
    factor: Annotated[
        FactorName, typer.Option("--factor", help="8: Qwen-Image's; 16: 2.x's.", rich_help_panel=NETWORK)
    ] = FactorName.f8,
    width: Annotated[
        int, typer.Option("--width", min=1, help="base_dim; 96 is the released one.", rich_help_panel=NETWORK)
    ] = 8,
    blocks: Annotated[
        int, typer.Option("--blocks", min=1, help="Residual blocks a level; 2 there.", rich_help_panel=NETWORK)
    ] = 1,
    channels: Annotated[
        int | None,
        typer.Option("--channels", min=1, help="Of latents; 16 or 64 by factor.", rich_help_panel=NETWORK),
    ] = None,
    l1: L1Option = 1.0,
    l2: L2Option = 1.0,
    kl: Annotated[float, typer.Option("--kl", help="Weight of the KL divergence.", rich_help_panel=LOSS)] = 1e-6,
    perceptual: PerceptualOption = 0.0,
    reader: ReaderOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 0,
    threads: ThreadsOption = None,
    save_every: SaveOption = 500,
    device: DeviceOption = None,
    cache: CacheOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train an autoencoder of images, encoder and decoder, and measure its latents.

    Example: [bold]glyphmill train vae --lake lake --out runs/vae --width 8 --steps 1000[/bold]
    """
    from model.vae_training.autoencoder import train_vae as job
    from model.vae_training.loop import Course
    from model.vae_training.settings import VaeTraining
    from model.vae_training.source import PictureSource

    chosen = _config(config, factor, width, blocks, channels)
    settings = VaeTraining(
        steps=steps,
        batch=batch,
        resolution=resolution,
        view=view.value,
        rate=lr,
        l1=l1,
        l2=l2,
        kl=kl,
        perceptual=perceptual,
        seed=seed,
    )
    if dry_run:
        count = _on_meta(chosen)
        typer.echo(
            f"{chosen.class_name} f{chosen.spatial_factor}c{chosen.z_dim}, {count[0]:,} + {count[1]:,} parameters; "
            f"{steps} steps of {batch} squares of {resolution} pixels into {out}"
        )
        return
    where = _prepare(threads, device)
    with _bar("train", not quiet) as show:
        source = PictureSource(lake, sql, workers, cache, reader)
        typer.echo(str(job(chosen, settings, source, Course(out, save_every, device=where), progress=show)))


@app.command("vae-decoder")
def train_vae_decoder(
    vae: Annotated[Path, typer.Option("--vae", help="Folder of the VAE; it stays as it is.")],
    lake: LakeOption,
    out: OutOption,
    sql: SqlOption,
    general_sql: Annotated[
        str | None, typer.Option("--general-sql", help="Images to judge by as well, without text.")
    ] = None,
    judged_at: Annotated[int, typer.Option("--judged-at", help="Side of the squares it is judged by, pixels.")] = 256,
    resolution: ResolutionOption = 256,
    view: ViewOption = ViewName.crop,
    steps: StepsOption = 1000,
    batch: BatchOption = 8,
    lr: RateOption = 2e-4,
    l1: L1Option = 1.0,
    l2: L2Option = 1.0,
    perceptual: PerceptualOption = 0.0,
    reader: ReaderOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 0,
    threads: ThreadsOption = None,
    save_every: SaveOption = 500,
    device: DeviceOption = None,
    cache: CacheOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a VAE's decoder alone on text-rich images; its encoder stays the same to the bit.

    Example: [bold]glyphmill train vae-decoder --vae runs/vae/vae --lake lake --out runs/decoder --sql
    "SELECT image_id FROM synth_truth" --reader runs/reader --perceptual 0.1[/bold]
    """
    from model.vae_training.decoder import train_decoder
    from model.vae_training.loop import Course
    from model.vae_training.settings import VaeTraining
    from model.vae_training.source import PictureSource

    settings = VaeTraining(
        steps=steps,
        batch=batch,
        resolution=resolution,
        view=view.value,
        rate=lr,
        l1=l1,
        l2=l2,
        kl=0.0,
        perceptual=perceptual,
        seed=seed,
    )
    if dry_run:
        typer.echo(f"decoder of {vae}: {steps} steps of {batch} squares of {resolution} pixels into {out}")
        return
    where = _prepare(threads, device)
    with _bar("train", not quiet) as show:
        done = train_decoder(
            vae,
            settings,
            PictureSource(lake, sql, workers, cache, reader),
            Course(out, save_every, device=where),
            general_sql=general_sql,
            judged_at=judged_at,
            progress=show,
        )
    typer.echo(str(done))


@app.command("vae-reader")
def train_vae_reader(
    lake: LakeOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the reader; it must be new.")],
    sql: SqlOption = "SELECT image_id FROM synth_truth",
    most: Annotated[int, typer.Option("--most", min=1, help="Characters cut out, at most.")] = 20000,
    steps: StepsOption = 600,
    batch: BatchOption = 64,
    lr: RateOption = 3e-3,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    cache: CacheOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train the small character reader whose features a perceptual loss compares, on drawn images.

    Example: [bold]glyphmill train vae-reader --lake lake --out runs/reader[/bold]
    """
    from model.vae_training.characters import gather
    from model.vae_training.reading import ReaderTraining, train_reader

    _prepare(threads, "cpu")
    settings = ReaderTraining(steps, batch, lr, seed)
    with _bar("read", not quiet) as show:
        found = gather(lake, sql, most=most, cache=cache)
        typer.echo(str(train_reader(found, settings, out, lambda done, total: show(done, total, {}))))


@app.command("vae-table")
def vae_table(
    vae: Annotated[list[Path], typer.Option("--vae", help="Folder of an autoencoder in diffusers layout; may repeat.")],
    lake: LakeOption,
    text_sql: Annotated[str | None, typer.Option("--text-sql", help="Images full of text.")] = None,
    general_sql: Annotated[str | None, typer.Option("--general-sql", help="Images without.")] = None,
    resolution: ResolutionOption = 256,
    view: ViewOption = ViewName.crop,
    most: Annotated[int, typer.Option("--most", min=1, help="Images of each kind, at most.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of a table.")] = False,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    cache: CacheOption = None,
    quiet: QuietOption = False,
) -> None:
    """Autoencoders beside each other: compression, size, PSNR and SSIM of general and of text images apart.

    Example: [bold]glyphmill train vae-table --vae runs/vae/vae --vae other/vae --lake lake --text-sql
    "SELECT image_id FROM synth_truth"[/bold]
    """
    import json

    from model.vae_subject import names, open_subject
    from model.vae_table import judge, table
    from model.vae_training.pictures import Watching
    from warehouse.errors import UsageError

    def images(sql: str | None) -> Watching | None:
        if sql is None:
            return None
        return Watching(lake, sql, side=resolution, view=view.value, most=most, cache=cache)

    if text_sql is None and general_sql is None:
        raise UsageError("name images to judge by: --text-sql, --general-sql or both")
    where = _prepare(threads, device)
    text, general = images(text_sql), images(general_sql)
    lines = []
    with _bar("judge", not quiet) as show:
        for number, (folder, name) in enumerate(zip(vae, names(vae), strict=True)):
            lines.append(judge(open_subject(folder, where, name), general, text))
            show(number + 1, len(vae), {})
    typer.echo(json.dumps([line.row() for line in lines], indent=1) if as_json else table(lines))


def _config(file: Path | None, factor: FactorName, width: int, blocks: int, channels: int | None) -> VaeConfig:
    from model.vae import small
    from model.vae_loading import config_from, read_config
    from model.vae_residual import small_residual

    if file is not None:
        folder = file if file.is_dir() else file.parent
        return config_from(read_config(folder), str(file))
    if factor is FactorName.f8:
        return small(width, num_res_blocks=blocks, z_dim=channels or 16)
    return small_residual(width, num_res_blocks=blocks, z_dim=channels or 64)


def _on_meta(config: VaeConfig) -> tuple[int, int]:
    import torch

    from model.vae_loading import build
    from model.vae_size import total_parameters

    with torch.device("meta"):
        count = total_parameters(build(config))
    return count.encoder, count.decoder


def _prepare(threads: int | None, device: str | None) -> str:
    """Sets torch's threads where asked to, and gives the device."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def _bar(title: str, enabled: bool) -> Any:
    from model.vae_training.showing import bar

    return bar(title, enabled=enabled)
