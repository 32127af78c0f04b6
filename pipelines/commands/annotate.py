"""The commands of the joint annotation."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.options import PASSES, QuietOption

if TYPE_CHECKING:
    from annotate.backends.base import Backend
    from annotate.vision import Sizing
    from pipelines.annotating.annotate import Wish

app = typer.Typer()
annotation = typer.Typer()
app.add_typer(annotation, name="annotate", rich_help_panel=PASSES)


class Annotator(StrEnum):
    OPENAI = "openai"
    TRANSFORMERS = "transformers"
    RULES = "rules"


class Constraint(StrEnum):
    RESPONSE_FORMAT = "response_format"
    STRUCTURED_OUTPUTS = "structured_outputs"
    GUIDED_JSON = "guided_json"
    NONE = "none"


class Again(StrEnum):
    TRUNCATED = "truncated"
    BLOCKED = "blocked"
    INVALID = "invalid"


@annotation.callback(invoke_without_command=True)
def annotate(
    context: typer.Context,
    backend: Annotated[Annotator, typer.Option("--backend", help="Who answers.")] = Annotator.RULES,
    lake: Annotated[
        Path | None, typer.Option("--lake", "-L", envvar="GLYPHMILL_LAKE", help="Folder of the lake.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The server's name of the model; a folder for transformers.")
    ] = None,
    base_url: Annotated[
        str, typer.Option("--base-url", help="Address of the server, up to and with /v1.")
    ] = "http://localhost:8000/v1",
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", metavar="VARIABLE", help="Environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    language: Annotated[
        list[str] | None, typer.Option("--language", "-l", help="en | zh: language of the captions; twice for both.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many images.")] = None,
    max_requests: Annotated[
        int | None, typer.Option(min=0, help="Cap: at most so many requests, with retries.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Cap: at most so many tokens, in and out.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Name under which the caps count; today's date if not given.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests on their way at once (openai).")] = 16,
    batch: Annotated[int, typer.Option(min=1, help="Images in one batch (transformers).")] = 8,
    answer_tokens: Annotated[int, typer.Option(min=16, help="At most so many tokens in one answer.")] = 2048,
    image_pixels: Annotated[int, typer.Option(min=4096, help="At most so many pixels in an image as sent.")] = 1 << 20,
    patch: Annotated[int, typer.Option(min=1, help="Pixels of the model's patch: 28 Qwen2.5-VL, 32 Qwen3-VL.")] = 32,
    image_tokens: Annotated[
        int | None, typer.Option(min=1, help="The most that one image is billed at, if the server counts otherwise.")
    ] = None,
    constraint: Annotated[
        Constraint, typer.Option(help="How the server is held to the schema.")
    ] = Constraint.RESPONSE_FORMAT,
    again: Annotated[list[Again] | None, typer.Option(help="Also ask images of this status again.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Describe every image that is not dropped: captions, objects, text, abnormal elements, in one request each.

    Example: [bold]glyphmill annotate --backend openai --model qwen3-vl --lake lake --max-requests 1000[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from annotate.backends.base import Status
    from annotate.vision import Sizing
    from pipelines.annotating import annotate as job
    from pipelines.progress import bar
    from warehouse.errors import UsageError
    from warehouse.lake import Lake

    if lake is None:
        raise UsageError("name the lake: --lake FOLDER")
    sizing = Sizing(multiple=patch, pixels=image_pixels)
    wish = job.Wish(
        languages=tuple(language or ["en"]),
        answer_tokens=answer_tokens,
        sizing=sizing,
        limit=limit,
        again=frozenset(Status(status.value) for status in again or ()),
    )
    cap = job.Cap(max_requests, max_tokens, budget)
    if dry_run:
        name = model_name(backend, model)
        typer.echo(str(job.plan(Lake.open(lake, read_only=True), backend.value, name, wish=wish, cap=cap)))
        return
    opened = Lake.open(lake)
    asked, wish = opened_backend(
        backend,
        model,
        base_url,
        wish,
        api_key_env=api_key_env,
        concurrency=concurrency,
        batch=batch,
        image_tokens=image_tokens,
        constraint=constraint,
    )
    with bar("annotate", enabled=not quiet) as show:
        done = job.annotate(opened, asked, wish=wish, cap=cap, progress=show)
    typer.echo(str(done))
    if done.statuses and set(done.statuses) == {"error"}:
        typer.echo("no request was answered: see the column `error` of the table annotations", err=True)
        raise typer.Exit(1)


@annotation.command("schema")
def schema() -> None:
    """Print the joint annotation's JSON Schema, as servers are held to it.

    Example: [bold]glyphmill annotate schema > annotation.schema.json[/bold]
    """
    from annotate.schema import schema_text

    typer.echo(schema_text())


def opened_backend(
    backend: Annotator,
    model: str | None,
    base_url: str,
    wish: Wish,
    *,
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 16,
    batch: int = 8,
    image_tokens: int | None = None,
    constraint: Constraint = Constraint.RESPONSE_FORMAT,
) -> tuple[Backend, Wish]:
    """Who answers, and the wish with images as it takes them. Raises UsageError, MissingDependency."""
    name = model_name(backend, model)
    if backend is Annotator.OPENAI:
        return _server(base_url, name, api_key_env, concurrency, constraint, image_tokens, wish.sizing), wish
    if backend is Annotator.TRANSFORMERS:
        from annotate.backends.transformers import TransformersBackend
        from pipelines.annotating import annotate as job

        local = TransformersBackend(Path(str(model)), batch=batch)
        return local, job.sized(wish, local.sizing.multiple)
    from annotate.backends.rules import RulesBackend

    return RulesBackend(), wish


def model_name(backend: Annotator, model: str | None) -> str:
    """The name that annotations by this model are stored with."""
    from warehouse.errors import UsageError

    if backend is Annotator.RULES:
        return "rules"
    if not model:
        what = "the server's name of the model" if backend is Annotator.OPENAI else "the folder of the weights"
        raise UsageError(f"the {backend.value} backend needs --model: {what}")
    return model if backend is Annotator.OPENAI else Path(model).resolve().name


def _server(
    base_url: str,
    model: str,
    api_key_env: str,
    concurrency: int,
    constraint: Constraint,
    image_tokens: int | None,
    sizing: Sizing,
) -> Backend:
    import os

    from annotate.backends.openai import OpenAIBackend, Server

    return OpenAIBackend(
        Server(
            base_url,
            model,
            os.environ.get(api_key_env),
            concurrency=concurrency,
            image_tokens=image_tokens or sizing.most_tokens_anywhere,
            constraint=constraint.value,
        )
    )
