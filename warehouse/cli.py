"""Commands of the lake. Each imports what it needs when it runs, so that `--help` stays instant."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Annotated

import typer

from warehouse.errors import LakeError, UsageError
from warehouse.places import place

app = typer.Typer(no_args_is_help=True)

PANEL = "The lake"
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
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command(rich_help_panel=PANEL)
def query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over the lake's tables and views; - reads it from stdin.")],
    lake: LakeOption,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print the rows.")] = Format.table,
) -> None:
    """Ask the lake in SQL; nothing can be written. See also the views: samples, funnel, drop_reasons, lineage ...

    Example: [bold]glyphmill query "SELECT * FROM funnel" --lake lake[/bold]
    """
    from warehouse import query as job
    from warehouse.lake import Lake

    text = sys.stdin.read() if sql == "-" else sql
    job.run(Lake.open(lake, read_only=True), text, form.value, sys.stdout)


@app.command(rich_help_panel=PANEL)
def digest(lake: LakeOption, as_json: JsonOption = False) -> None:
    """One content digest per table: equal wherever the rows are, whatever the files, their order and the units.

    Example: [bold]glyphmill digest --lake lake[/bold]
    """
    import json

    from warehouse.digest import digests
    from warehouse.lake import Lake

    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        found = digests(con)
    if as_json:
        typer.echo(json.dumps({d.table: {"rows": d.rows, "digest": d.digest} for d in found.values()}))
        return
    for d in found.values():
        typer.echo(f"{d.table:<24}{d.rows:>14,}  {d.digest}")


@app.command(rich_help_panel=PANEL)
def verify(lake: LakeOption, as_json: JsonOption = False) -> None:
    """Check that every committed byte is accounted for: checksums, offsets, counts. Reads the whole lake.

    Example: [bold]glyphmill verify --lake lake[/bold]
    """
    import json
    from dataclasses import asdict

    from warehouse.lake import Lake
    from warehouse.verify import SHOWN
    from warehouse.verify import verify as job

    checks = job(Lake.open(lake, read_only=True))
    wrong = sum(len(check.problems) for check in checks)
    if as_json:
        typer.echo(json.dumps({"ok": not wrong, "checks": [asdict(check) for check in checks]}, ensure_ascii=False))
    else:
        for check in checks:
            told = f"{len(check.problems)} problems" if check.problems else "ok"
            typer.echo(f"{check.name:<16}{check.counted:>14,} {check.unit:<8}{told}")
            for line in check.problems[:SHOWN]:
                typer.echo(f"  ! {line}")
            if len(check.problems) > SHOWN:
                typer.echo(f"  ! and {len(check.problems) - SHOWN} more; --json lists them all")
            for line in check.notes:
                typer.echo(f"  - {line}")
    if wrong:
        raise LakeError(f"the lake {lake} does not verify: {wrong} problems, listed above")


@app.command(rich_help_panel=PANEL)
def clean(
    lake: LakeOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go and stop.")] = False,
    older_than: Annotated[str, typer.Option("--older-than", help="Spare what is newer: 30m, 12h, 7d.")] = "1d",
    keep_days: Annotated[
        float | None,
        typer.Option("--keep-days", min=0, help="Also drop unpinned snapshots older than so many days."),
    ] = None,
    cache: Annotated[
        list[Path] | None,
        typer.Option("--cache", help="Folder with selections of the training dataset, beside the usual one."),
    ] = None,
) -> None:
    """Sweep what stopped runs left behind and, with --keep-days, old snapshots that nobody pinned; purge what was
    forgotten from every file.

    Example: [bold]glyphmill clean --lake lake --keep-days 30 --dry-run[/bold]
    """
    from warehouse.clean import clean as job
    from warehouse.lake import Lake
    from warehouse.selection import default_cache

    swept = job(
        Lake.open(lake),
        older_than=duration(older_than),
        expire=None if keep_days is None else timedelta(days=keep_days),
        selections=[default_cache(), *(cache or [])],
        dry_run=dry_run,
    )
    for path, size in swept.files.items():
        typer.echo(f"{size:>14,}  {path}")
    for path in swept.uploads:
        typer.echo(f"{'unfinished':>14}  {path}")
    verb = "would go" if dry_run else "gone"
    for path, rows in swept.purged.rows.items():
        typer.echo(f"{rows:>9,} rows  {path}")
    if swept.purged.images:
        typer.echo(f"{swept.purged} {verb}")
    left = len(swept.files) + len(swept.uploads)
    typer.echo(f"{left} leftovers, {swept.bytes:,} bytes, {len(swept.snapshots)} snapshots {verb}")


@app.command(rich_help_panel=PANEL)
def pin(
    lake: LakeOption,
    name: Annotated[
        str | None, typer.Argument(help="Name of the pin, a training run's say.", show_default=False)
    ] = None,
    at: Annotated[
        int | None, typer.Option("--snapshot", help="Snapshot to keep; the present one if not given.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the pin away.")] = False,
) -> None:
    """Keep a snapshot from being expired by clean, for as long as the pin is there; without a name, list the pins.

    Example: [bold]glyphmill pin training-7 --lake lake[/bold]
    """
    from warehouse import clean
    from warehouse.lake import Lake

    opened = Lake.open(lake)
    found = clean.pins(opened)
    if name is None:
        for pinned, number in found.items():
            typer.echo(f"{number:>9}  {pinned}")
        typer.echo(f"{len(found)} pins")
    elif remove:
        if name not in found:
            raise UsageError(f"no pin {name}; there are: {', '.join(found) or 'none'}")
        clean.unpin(opened, name)
        typer.echo(f"{name}: snapshot {found[name]} may be expired")
    else:
        with opened.connect(read_only=True) as con:
            known = {n for (n,) in con.execute("SELECT snapshot_id FROM ducklake_snapshots('lake')").fetchall()}
            chosen = opened.snapshot(con) if at is None else at
        if chosen not in known:
            raise UsageError(f"no snapshot {chosen} in the lake: it has {min(known)} to {max(known)}")
        clean.pin(opened, name, chosen)
        typer.echo(f"{name}: snapshot {chosen} is kept")


@app.command(rich_help_panel=PANEL)
def snapshot(
    lake: LakeOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="DuckDB file to write.")] = Path("warehouse.duckdb"),
    copy_mb: Annotated[int, typer.Option("--copy-mb", min=0, help="Copy tables smaller than this, MB.")] = 64,
) -> None:
    """The lake as one plain DuckDB file that needs no extension: small tables copied, views over the large ones' files.

    Example: [bold]glyphmill snapshot --lake lake --out warehouse.duckdb[/bold]
    """
    from warehouse.lake import Lake
    from warehouse.snapshot import snapshot as job

    how = job(Lake.open(lake, read_only=True), out, copy_below=copy_mb << 20)
    viewed = sorted(table for table, kind in how.items() if kind == "view")
    told = f"; views over the lake's files: {', '.join(viewed)}" if viewed else ""
    typer.echo(f"{out}: {len(how) - len(viewed)} tables copied{told}")


def duration(text: str) -> timedelta:
    """`30m`, `12h` or `7d` as a timedelta; raises UsageError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise UsageError(f"'{text}' is no length of time: write a number and s, m, h or d, such as 12h")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[found[2]]
    return timedelta(**{unit: float(found[1])})
