"""The group `glyphmill model`: checkpoints in and out of the public layout."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
model = typer.Typer(no_args_is_help=True, help="Checkpoints in and out of the public layout; sizes.")
app.add_typer(model, name="model", rich_help_panel="Model")


class Weights(StrEnum):
    """Which weights of a training checkpoint."""

    ema = "ema"
    model = "model"


OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder to write; it must not exist or be empty.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")]


@model.command("export")
def export_model(
    source: Annotated[
        Path, typer.Argument(help="A training run, one of its checkpoints, or a folder.", show_default=False)
    ],
    out: OutOption,
    weights: Annotated[Weights, typer.Option("--weights", help="Averaged weights, or those that were trained.")] = (
        Weights.ema
    ),
    step: Annotated[int | None, typer.Option("--step", help="Step of the checkpoint; the newest if not given.")] = None,
    vae: Annotated[
        Path | None, typer.Option("--vae", help="Folder of the VAE, where the run's record does not lead to it.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", help="Folder of the text encoder, where the run has none of its own.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write what was trained as a folder that diffusers opens: transformer, VAE, text encoder, scheduler.

    Where the VAE or the text encoder is not known, the folder is the transformer's alone.

    Example: [bold]glyphmill model export runs/first --out checkpoints/first[/bold]
    """
    from model.export import export, find_source, read_model, read_text, read_vae
    from model.weights import refuse_existing

    refuse_existing(out)
    found = find_source(source, step)
    autoencoder, encoder = read_vae(found, vae), read_text(found, text)
    trained = read_model(found, weights.value)
    count = sum(parameter.numel() for parameter in trained.parameters())
    what = f"{found.path}, {count:,} parameters"
    if found.step is not None:
        what += f", {'averaged' if weights is Weights.ema else 'trained'} weights"
    if dry_run:
        typer.echo(f"would write {out} from {what}")
        return
    whole = export(trained, autoencoder, encoder, out)
    lacking = [name for name, part in (("--vae", autoencoder), ("--text", encoder)) if part is None]
    said = "a whole checkpoint" if whole else f"the transformer alone (give {' and '.join(lacking)} for the rest)"
    typer.echo(f"{out}: {said}, from {what}")
    if not trained.config.is_public:
        typer.echo("this configuration is not one that diffusers has: glyphmill sample opens it, diffusers does not")


@model.command("import")
def import_model(
    source: Annotated[
        Path, typer.Argument(help="A folder in diffusers' layout, or one safetensors file.", show_default=False)
    ],
    out: OutOption,
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", help="Configuration of a single file: a name, or a JSON file."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Check public weights tensor by tensor and write them as a folder in the layout used here; types are kept.

    Single files may have the prefixes of ComfyUI or of the original release.

    Example: [bold]glyphmill model import qwen_image_bf16.safetensors --out checkpoints/qwen-image/transformer[/bold]
    """
    from model.layout import load_mmdit, save_mmdit
    from model.size import configuration
    from model.weights import refuse_existing

    refuse_existing(out)
    read = load_mmdit(source, config=configuration(config) if config else None)
    count = sum(parameter.numel() for parameter in read.parameters())
    if not dry_run:
        save_mmdit(read, out)
    typer.echo(
        f"{'would write' if dry_run else 'wrote'} {out}: {count:,} parameters in {read.config.num_layers} layers"
    )


@model.command("size")
def tell_size(
    config: Annotated[
        str, typer.Option("--config", "-c", help="A name, a JSON file, or a folder with a config.json.")
    ] = "qwen-image",
) -> None:
    """Parameters of each part, of the MMDiT and of both autoencoders; no memory is needed for it.

    Example: [bold]glyphmill model size --config qwen-image-2[/bold]
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from model.size import configuration, mmdit_parts, vae_sizes

    parts = mmdit_parts(configuration(config))
    total = sum(parts.values())
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("part", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_row("MMDiT", f"{total:,}", "100.0 %")
    for name, count in parts.items():
        table.add_row(f"  {name}", f"{count:,}", f"{count / total:.1%}".replace("%", " %"))
    for vae in vae_sizes():
        for side in ("encoder", "decoder"):
            met = getattr(vae.effective, side)
            table.add_row(f"{vae.name} {side}", f"{getattr(vae.total, side):,}", f"{met / 1e6:.1f} M by an image")
    Console().print(table)
