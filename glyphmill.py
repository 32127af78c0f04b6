"""The command: mounts each package's own Typer sub-commands. Imports nothing heavy, so `--help` answers at once."""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from model.commands.model import app as model_commands
from model.commands.sample import app as sample_commands
from model.commands.train import app as train_commands
from pipelines.cli import app as pipeline_commands
from pipelines.commands.annotate import app as annotate_commands
from pipelines.commands.audit import app as audit_commands
from pipelines.commands.balance import app as balance_commands
from pipelines.commands.block import app as block_commands
from pipelines.commands.captions import app as caption_commands
from pipelines.commands.edits import app as edit_commands
from pipelines.commands.gallery import app as gallery_commands
from pipelines.commands.inspect import app as inspect_commands
from pipelines.commands.keeping import app as keeping_commands
from pipelines.commands.nightly import app as nightly_commands
from pipelines.commands.ocr import app as ocr_commands
from pipelines.commands.signals import app as signals_commands
from pipelines.commands.synth import app as synth_commands
from warehouse.cli import app as lake_commands
from warehouse.errors import GlyphmillError

app = typer.Typer(
    name="glyphmill",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
MOUNTED = (
    pipeline_commands,
    nightly_commands,
    synth_commands,
    inspect_commands,
    block_commands,
    caption_commands,
    edit_commands,
    annotate_commands,
    audit_commands,
    balance_commands,
    ocr_commands,
    signals_commands,
    gallery_commands,
    keeping_commands,
    lake_commands,
    train_commands,
    sample_commands,
    model_commands,
)
for commands in MOUNTED:
    app.registered_commands.extend(commands.registered_commands)
    app.registered_groups.extend(commands.registered_groups)


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"glyphmill {version('glyphmill')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Raw image-text pairs in, balanced and fully accounted-for training shards out.

    Example: [bold]glyphmill curate photos/ --lake lake --recipe starter[/bold]
    """


class Stopped(GlyphmillError):  # noqa: N818 - nothing went wrong
    """Ctrl-C."""

    exit_code = 130


def explain(error: BaseException) -> tuple[str, int] | None:
    """One line for the person at the keyboard and the exit code, or None where a traceback tells more."""
    if isinstance(error, GlyphmillError):
        return str(error), error.exit_code
    if isinstance(error.__cause__, Stopped):  # DuckDB tells a Ctrl-C in its own words: Query interrupted
        return explain(error.__cause__)
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in text or "disk is full" in text:
        return (
            f"disk full ({_first_line(text)}); free some space and run the same command again, the lake is unharmed",
            3,
        )
    if number in (errno.EROFS, errno.EACCES, errno.EPERM) or "readonly database" in text:
        return f"cannot write ({_first_line(text)}); check the folder's permissions, the lake is unharmed", 3
    if number in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP):
        return f"no such folder can be made or read ({_first_line(text)}); name another one", 2
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        return f"not enough memory ({_first_line(text)[:160]}); ask for smaller pictures, batches or models", 3
    if "duckdb" in sys.modules:
        from warehouse.files import gone_away

        if isinstance(error, Exception) and (away := gone_away(error)):
            return (
                f"{away} cannot be reached ({_first_line(text)}); run the same command again, the lake is unharmed",
                3,
            )
    return None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no detail given"


def main() -> None:
    """Run the command line; a failure a person can act on is one line on stderr and a non-zero exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)  # Typer would say no more than "Aborted"
    try:
        app()
    except Exception as error:
        told = explain(error)
        if told is None or os.environ.get("GLYPHMILL_TRACEBACK"):
            raise
        sys.stderr.write(f"glyphmill: {told[0]}\n")
        sys.exit(told[1])


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped("stopped; nothing half-done counts, run the same command again to go on")


if __name__ == "__main__":
    main()
