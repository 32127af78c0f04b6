"""Replay: one unit that failed, alone, in this very process, where a debugger can look at it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import duckdb

from pipelines import inspect_unit, scan_unit
from pipelines.engines import R, Result, U
from pipelines.engines.local import LocalEngine
from pipelines.inspect import InspectSummary, inspect
from pipelines.nights.dead_letters import Letter, find_letter
from pipelines.nights.listing import These
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe, installed_tables, loads
from pipelines.scan import ScanSummary, scan
from warehouse import storage
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.schema import ERRORS
from warehouse.sources.portion import from_text


@dataclass(frozen=True)
class Foreground(LocalEngine):
    """Works where it is called and catches nothing: what a unit raises is seen where it is raised.

    Nor does it look at images in processes of their own, as is done after a death: a debugger would not see them.
    """

    workers: int = 0
    attempts: int = 1

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Generator[Result[U, R], None, None]:
        if setup is not None:
            setup()
        for unit in units:
            if isinstance(unit, scan_unit.Job):
                storage.delete(scan_unit.attempt_path(Lake(unit.delivery.lake), unit))
            elif isinstance(unit, inspect_unit.Inspection):
                storage.delete(inspect_unit.attempt_path(Lake(unit.lake), unit))
            yield Result(unit, value=work(unit))


def replay(lake: Lake, unit: str, *, progress: Progress = silent) -> tuple[Letter, ScanSummary | InspectSummary]:
    """Run the failed unit again; what it gives is committed and its row of `errors` is resolved.

    Raises UsageError where no such unit failed, and whatever the unit itself raises: nothing has changed then.
    """
    with lake.connect() as con:
        lake.ensure_tables(con, [ERRORS])
        letter = find_letter(con, unit)
        recipe = _recipe(con, letter)
    engine = Foreground()
    if recipe is None:
        these = These(letter.source or "", (from_text(letter.content or ""),))
        done = scan(lake, these, engine=engine, batch=letter.batch, source_name=letter.source, progress=progress)
        return letter, done
    names = [told.partition(" ")[0] for told in letter.extractors]
    return letter, inspect(lake, recipe, engine=engine, extractors=names, images=letter.images, progress=progress)


def _recipe(con: duckdb.DuckDBPyConnection, letter: Letter) -> Recipe | None:
    """The recipe that a unit of inspect was run for; None for scan."""
    if letter.command == "scan":
        return None
    row = con.execute("SELECT toml FROM lake.recipes WHERE recipe = ?", [letter.recipe]).fetchone()
    if row is None:
        raise LakeError(
            f"the recipe {letter.recipe} of unit {letter.unit} is not in this lake any more: decide with it"
        )
    return loads(str(row[0]), f"{letter.recipe} of the lake", installed_tables())
