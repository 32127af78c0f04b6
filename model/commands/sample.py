"""glyphmill sample: pictures from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from model.generate import Wish
    from model.readback import How
    from model.text.prompt import Pixels

app = typer.Typer()
HOW = "How it is drawn"


@app.command(rich_help_panel="Model")
def sample(
    model: Annotated[Path, typer.Option("--model", "-m", help="A checkpoint folder in diffusers' layout.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the pictures, or a .png: the contact sheet alone.")
    ],
    prompt: Annotated[list[str] | None, typer.Option("--prompt", "-p", help="What to draw; may be repeated.")] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help='One prompt a line; .jsonl: {"prompt": ...} a line.')
    ] = None,
    size: Annotated[
        str, typer.Option("--size", help="WIDTHxHEIGHT in pixels, or a shape as 16:9, or shape and side as 16:9@640.")
    ] = "1328x1328",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Pictures of each prompt.")] = 1,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Picture i: by seed, prompt and i alone.")] = 0,
    negative: Annotated[str, typer.Option("--negative", help="What guidance leads away from.")] = " ",
    reference: Annotated[
        list[Path] | None, typer.Option("--reference", "-r", help="A picture to edit; may be repeated, in order.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, rich_help_panel=HOW)] = 50,
    guidance: Annotated[
        float, typer.Option("--guidance", min=0, help="Weight; 1: none, half the time.", rich_help_panel=HOW)
    ] = 4.0,
    rescale: Annotated[
        bool, typer.Option(help="Guided tokens keep their length, as Qwen-Image 1.0.", rich_help_panel=HOW)
    ] = True,
    lightning: Annotated[
        bool, typer.Option("--lightning", help="The distilled checkpoints' schedule.", rich_help_panel=HOW)
    ] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pictures at once.", rich_help_panel=HOW)] = 4,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, help="Of torch; all cores if not said.", rich_help_panel=HOW, show_default=False
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="As torch names it; a GPU if there is one.", rich_help_panel=HOW)
    ] = None,
    read: Annotated[bool, typer.Option("--read", help="Read the pictures back; print how much is right.")] = False,
    page: Annotated[bool, typer.Option("--page", help="--read: look for lines first, not one line a picture.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Draw pictures with a checkpoint, and a contact sheet of them: a row for each prompt.

    Run again, it goes on where it was stopped; what is there of other settings is refused, never overwritten.

    Example: [bold]glyphmill sample --model run/export --prompt 'A sign “营业中”' --size 16:9 --out pictures/[/bold]
    """
    from dataclasses import replace

    import torch

    from model.components import load, multiple_of
    from model.contact import Album, model_name, numbered, read_picture, read_prompts, size_of
    from model.generate import Settings, Wish, check, generate
    from model.progress import counting
    from model.schedule import LIGHTNING
    from model.text.prompt import Prompt
    from warehouse.errors import UsageError

    texts = [*(prompt or []), *(read_prompts(prompts) if prompts else [])]
    if not texts:
        raise UsageError("nothing to draw: give --prompt or --prompts")
    height, width = size_of(size, multiple_of(model))
    images = tuple(read_picture(path, height, width) for path in reference or [])
    settings = Settings(height, width, steps, guidance, rescale, seed)
    wishes = [Wish(Prompt(text, images), number, negative) for text, number in numbered(texts, count)]
    if threads is not None:
        torch.set_num_threads(threads)
    where, dtype = _device(device)
    if dry_run:
        branches = 1 if guidance == 1 else 2
        typer.echo(
            f"{len(texts)} prompts x {count} = {len(wishes)} pictures of {width}x{height} into {out}: "
            f"{steps} steps, {len(wishes) * steps * branches} evaluations, on {where}"
        )
        return
    parts = load(model, device=where, dtype=dtype)
    if lightning:
        parts = replace(parts, schedule=LIGHTNING)
    check(parts, wishes, settings)
    album = Album(out, count, settings, model_name(model, parts.schedule))
    pictures = album.finished(wishes)
    left = [place for place in range(len(wishes)) if place not in pictures]
    with counting("sample", steps * len(left), enabled=not quiet) as show:
        drawn = generate(parts, [wishes[place] for place in left], settings, batch=batch, on_step=show)
        for place, picture in zip(left, drawn, strict=True):
            album.write(place, wishes[place], picture)
            pictures[place] = picture
    ordered = [pictures[place] for place in range(len(wishes))]
    album.finish(ordered, wishes)
    typer.echo(f"{len(left)} pictures drawn, {len(wishes) - len(left)} were there, in {out}")
    if read:
        _read(wishes, ordered, "page" if page else "line", quiet)


def _read(wishes: Sequence[Wish], pictures: Sequence[Pixels], how: How, quiet: bool) -> None:
    """Prints the table; pictures of prompts that quote nothing are left out."""
    from model.progress import counting
    from model.readback import read_back, table, wanted

    asked = [
        (picture, text) for wish, picture in zip(wishes, pictures, strict=True) if (text := wanted(wish.prompt.text))
    ]
    if not asked:
        typer.echo("no prompt quotes a text: nothing to read back")
        return
    with counting("read", len(asked), enabled=not quiet) as show:
        told = read_back([p for p, _ in asked], [t for _, t in asked], how=how, on_picture=show)
    typer.echo(table(told))


def _device(asked: str | None) -> tuple[str, torch.dtype | None]:
    """Where to compute and in which type: bf16 on a GPU, as stored on a CPU, where bf16 is slower."""
    import torch

    from warehouse.errors import UsageError

    where = asked or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {where} cannot be used here: {' '.join(str(error).split())[:200]}") from error
    return where, None if where.startswith("cpu") else torch.bfloat16
