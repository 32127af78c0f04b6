"""Replay: one unit that failed, alone, in this very process, where a debugger can look at it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from pipelines import inspect_unit, scan_unit
from pipelines.categories.categorize import CategorizeSummary, categorize_unit
from pipelines.dead_letters import Letter, find_letter
from pipelines.engines import R, Result, U
from pipelines.engines.local import LocalEngine
from pipelines.export import ExportSummary, export_unit
from pipelines.inspect import InspectSummary, inspect
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


Replayed = ScanSummary | InspectSummary | CategorizeSummary | ExportSummary


def replay(lake: Lake, unit: str, *, progress: Progress = silent) -> tuple[Letter, Replayed]:
    """Run the failed unit again; what it gives is committed and its row of `errors` is resolved.

    Raises UsageError where no such unit failed, and whatever the unit itself raises: nothing has changed then.
    """
    with lake.connect() as con:
        lake.ensure_tables(con, [ERRORS])
        letter = find_letter(con, unit)
    engine = Foreground()
    done: Replayed
    if letter.command == "scan":
        these = These(letter.source or "", (from_text(letter.content or ""),))
        done = scan(lake, these, engine=engine, batch=letter.batch, source_name=letter.source, progress=progress)
    elif letter.command == "categorize":
        done = categorize_unit(lake, letter, engine=engine)
    elif letter.command == "export":
        done = export_unit(lake, _recipe(lake, letter), letter.unit, engine=engine)
    else:
        names = [told.partition(" ")[0] for told in letter.extractors]
        recipe = _recipe(lake, letter)
        done = inspect(lake, recipe, engine=engine, extractors=names, images=letter.images, progress=progress)
    return letter, done


def _recipe(lake: Lake, letter: Letter) -> Recipe:
    """The recipe that the unit was run for."""
    with lake.connect(read_only=True) as con:
        row = con.execute("SELECT toml FROM lake.recipes WHERE recipe = ?", [letter.recipe]).fetchone()
    if row is None:
        raise LakeError(
            f"the recipe {letter.recipe} of unit {letter.unit} is not in this lake any more: decide with it"
        )
    return loads(str(row[0]), f"{letter.recipe} of the lake", installed_tables())
