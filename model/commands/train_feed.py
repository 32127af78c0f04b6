"""glyphmill train: the commands of feed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="A feed's URL, or its run's folder.")]
HostOption = Annotated[str, typer.Option("--host", help="Interface to listen on; 0.0.0.0 for other machines.")]
PortOption = Annotated[int, typer.Option("--port", help="Port to listen on; 0 for any that is free.", min=0, max=65535)]


@app.command()
def serve(
    run: Annotated[Path, typer.Option("--run", "-R", help="The run's folder; the feed is its folder `feed`.")],
    plan: Annotated[Path, typer.Option("--plan", "-P", help="The plan to follow from step 0.", exists=True)],
    host: HostOption = "127.0.0.1",
    port: PortOption = 0,
    name: Annotated[
        str | None, typer.Option("--name", help="What others call this machine; its host name if not given.")
    ] = None,
    ahead: Annotated[int, typer.Option("--ahead", help="Steps producers may be before the slowest rank.", min=0)] = 16,
    budget_gb: Annotated[
        float | None, typer.Option("--budget-gb", help="Most gigabytes of shards; no limit if not given.", min=0)
    ] = None,
    lease_s: Annotated[
        float, typer.Option("--lease-s", help="Seconds after which a silent producer's work goes to others.", min=1)
    ] = 30.0,
    missing_caption: Annotated[
        str, typer.Option("--missing-caption", help="A sample without a caption: error, or skip (and audit).")
    ] = "error",
    every_s: Annotated[float, typer.Option("--every-s", help="Seconds between status lines.", min=0.1)] = 10.0,
) -> None:
    """Serve the feed of a run: producers ask it for work, ranks for batches. Ends with Ctrl-C or SIGTERM.

    Example: [bold]glyphmill train serve --run RUN --plan RUN/plan --host 0.0.0.0 --port 8650[/bold]
    """
    import signal
    import threading

    from model.feed.feed import Feed, FeedSettings
    from model.feed.plans import open_plan
    from model.feed.record import FOLDER
    from model.feed.server import serving
    from model.feed.telling import line
    from warehouse.errors import UsageError

    if missing_caption not in ("error", "skip"):
        raise UsageError(f"--missing-caption is error or skip, not {missing_caption}")
    budget = None if budget_gb is None else int(budget_gb * 1e9)
    settings = FeedSettings(ahead, budget, lease_s, missing_caption="skip" if missing_caption == "skip" else "error")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    feed = Feed(run / FOLDER, settings)
    try:
        feed.begin(open_plan(plan))
        with serving(feed.record.shards, feed, host=host, port=port, name=name) as url:
            feed.record.serving(url)
            typer.echo(f"serving {run} at {url}")
            told = ""
            while not ended.wait(every_s):
                if (now := line(feed.status())) != told:
                    typer.echo(now)
                    told = now
            feed.close()
            ended.wait(0.5)  # producers and ranks that are waiting hear of it
    finally:
        feed.close()


@app.command()
def produce(
    store: Annotated[str, typer.Option("--store", help="The feed's URL, or its run's folder.")],
    vae: Annotated[Path, typer.Option("--vae", help="Folder of the VAE (diffusers layout).", exists=True)],
    text: Annotated[Path, typer.Option("--text", help="Folder of the text encoder.", exists=True)],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="For shards, where the store's folder is not within reach; served from here."),
    ] = None,
    plan: Annotated[
        list[Path] | None, typer.Option("--plan", help="A copy of the run's plan on this machine.", exists=True)
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 0,
    device: Annotated[str | None, typer.Option("--device", help="cpu or cuda; a GPU where there is one.")] = None,
    rows: Annotated[
        int | None, typer.Option("--rows", help="Images encoded at once; the same for all producers.", min=1)
    ] = None,
    latent_dtype: Annotated[str, typer.Option("--latent-dtype", help="float32 or bfloat16.")] = "float32",
    text_dtype: Annotated[
        str | None, typer.Option("--text-dtype", help="float32 or bfloat16; bfloat16 on a GPU if not given.")
    ] = None,
    decoders: Annotated[int, typer.Option("--decoders", help="Threads that read and decode pictures.", min=1)] = 2,
    threads: Annotated[int, typer.Option("--threads", help="Threads of torch on a CPU.", min=1)] = 1,
    name: Annotated[str | None, typer.Option("--name", help="Its name; host and process if not given.")] = None,
    patience_s: Annotated[
        float, typer.Option("--patience-s", help="Seconds to wait for a store that does not answer.", min=0)
    ] = 300.0,
) -> None:
    """Encode what a run needs next, until the run ends. Start as many as you like, where you like; kill any.

    Example: [bold]glyphmill train produce --store http://head:8650 --vae VAE --text TEXT[/bold]
    """
    from model.feed.worker import ProducerSettings, work
    from warehouse.errors import UsageError

    if latent_dtype not in ("float32", "bfloat16") or text_dtype not in (None, "float32", "bfloat16"):
        raise UsageError("--latent-dtype and --text-dtype are float32 or bfloat16")
    work(
        ProducerSettings(
            store=store, vae=str(vae), text=str(text), name=name, folder=None if folder is None else str(folder),
            host=host, port=port, plans=tuple(str(one) for one in plan or ()), device=device, rows=rows,
            latent_dtype="bfloat16" if latent_dtype == "bfloat16" else "float32",
            text_dtype=None if text_dtype is None else "bfloat16" if text_dtype == "bfloat16" else "float32",
            decoders=decoders, threads=threads, patience_s=patience_s,
        )
    )  # fmt: skip


@app.command("feed-status")
def feed_status(
    store: StoreArgument,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Where a run's feed stands: what is ready, what is missing, who works, which plan from which step.

    Example: [bold]glyphmill train feed-status RUN[/bold]
    """
    from pydantic import TypeAdapter

    from model.feed.client import HttpDoor
    from model.feed.messages import Status
    from model.feed.telling import report

    status = HttpDoor(store, patience_s=0.0).status()
    typer.echo(TypeAdapter(Status).dump_json(status).decode() if as_json else "\n".join(report(status)))


@app.command()
def change(
    store: StoreArgument,
    plan: Annotated[Path, typer.Option("--plan", "-P", help="The plan to follow from then on.", exists=True)],
    at: Annotated[
        int | None, typer.Option("--at", help="The step; the first that nobody has planned yet if not given.")
    ] = None,
    why: Annotated[str, typer.Option("--why", help="A word for the log.")] = "",
) -> None:
    """Let a run follow another plan while it trains. Logged in recipe.jsonl and in every later checkpoint.

    Example: [bold]glyphmill train change RUN --plan plans/more-text --why "more long text"[/bold]
    """
    from model.feed.client import HttpDoor

    chapter = HttpDoor(store, patience_s=0.0).change(str(plan.resolve()), at, why)
    typer.echo(f"from step {chapter.first} on: plan {chapter.digest[:12]} in {chapter.folder}")
