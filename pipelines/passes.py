"""The passes of a run in their order, written down once: `curate` does them in one go, `nightly` one by one.

What the first decision drops is not inspected: OCR and models see only what scan's signals let pass. Captions that an
annotator wrote are measured before the second decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines import all_signals
from pipelines.annotating.annotate import AnnotateSummary
from pipelines.balancing.balance import balance
from pipelines.categories.categorize import categorize
from pipelines.decide import DecideSummary, decide
from pipelines.engines import Engine
from pipelines.export import ExportSummary, export
from pipelines.extractors.base import Extractor
from pipelines.inspect import InspectSummary, inspect
from pipelines.near.pairs import NearSummary, near
from pipelines.progress import Progress
from pipelines.recipe import Recipe, stored_tables
from pipelines.scan import ScanSummary
from warehouse import views
from warehouse.lake import Lake


@dataclass
class Mill:
    """What the passes of one run work with, and what they found. `scanning` and `annotating` do these two passes.
    `source`: inspect only what came from it, or from sources that no night takes care of."""

    lake: Lake
    recipe: Recipe
    engine: Engine
    scanning: Callable[[Progress], ScanSummary]
    annotating: Callable[[Progress], AnnotateSummary] | None = None
    source: str | None = None
    dataset: str = "main"
    wait_s: float = 0  # for the lake's lock, by passes that take it to commit only
    scanned: ScanSummary = field(default_factory=ScanSummary)
    near: NearSummary = field(default_factory=NearSummary)
    inspected: InspectSummary = field(default_factory=InspectSummary)
    annotated: AnnotateSummary | None = None
    decided: DecideSummary | None = None
    exported: ExportSummary | None = None


@dataclass(frozen=True)
class Done:
    """What a pass did: how many things, and its counts by name."""

    items: int
    counts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """One pass. `title`: of its progress bar; `command`: as `runs` has it; `alone`: it holds the lake's lock all along,
    where the others take it to commit only."""

    name: str
    title: str
    command: str
    work: Callable[[Mill, Progress], Done]
    alone: bool = True


def passes(recipe: Recipe, inspecting: Sequence[Extractor], *, annotating: bool = False) -> tuple[Pass, ...]:
    """The passes that this recipe needs, in order. `inspecting`: the extractors of inspect that it asks for."""
    captions = annotating and any(e.needs == "captions" or e.per == "caption" for e in inspecting)
    wanted = {
        "inspect": bool(inspecting),
        "annotate": annotating,
        "inspect-again": captions,
        "categorize": recipe.balance is not None,
        "decide-again": bool(inspecting) or annotating or recipe.balance is not None,
        "balance": recipe.balance is not None,
    }
    return tuple(p for p in ALL if wanted.get(p.name, True))


def _scan(mill: Mill, show: Progress) -> Done:
    mill.scanned = done = mill.scanning(show)
    counts = {"units": done.units, "units_skipped": done.skipped, "units_failed": done.failed, "samples": done.samples}
    return Done(done.samples, {**counts, "errors": dict(sorted(done.errors.items()))})


def _near(mill: Mill, show: Progress) -> Done:
    mill.near = done = near(mill.lake, engine=mill.engine, progress=show)
    return Done(done.compared, {"compared": done.compared, "same": done.same, "near": done.near})


def _decide(mill: Mill, show: Progress) -> Done:
    mill.decided = done = decide(mill.lake, mill.recipe, progress=show)
    return Done(done.inputs, dict(done.counts))


def _inspect(mill: Mill, show: Progress) -> Done:
    mill.inspected = done = inspect(
        mill.lake, mill.recipe, engine=mill.engine, source=mill.source, wait_s=mill.wait_s, progress=show
    )
    counts = {"images": done.images, "units_failed": len(done.failed), "unread": len(done.unread)}
    return Done(done.images, {**counts, "set_aside": done.set_aside, "errors": dict(sorted(done.errors.items()))})


def _annotate(mill: Mill, show: Progress) -> Done:
    if mill.annotating is None:
        return Done(0)
    mill.annotated = done = mill.annotating(show)
    counts = {"requests": done.requests, "cached": done.cached, "left": done.left}
    counts |= {"input_tokens": done.input_tokens, "output_tokens": done.output_tokens}
    return Done(sum(done.statuses.values()), {**counts, **done.statuses})


def _categorize(mill: Mill, show: Progress) -> Done:
    if mill.recipe.balance is None:
        return Done(0)
    done = categorize(mill.lake, engine=mill.engine, taxonomy=mill.recipe.balance.taxonomy, progress=show)
    return Done(done.images, {"images": done.images, "units_failed": len(done.failed), "set_aside": done.set_aside})


def _balance(mill: Mill, show: Progress) -> Done:
    done = balance(mill.lake, mill.recipe, progress=show)
    return Done(done.kept, {"kept": done.kept, "stage6": done.stage6, "stage7": done.stage7, "deficit": done.deficit})


def _export(mill: Mill, show: Progress) -> Done:
    mill.exported = done = export(mill.lake, mill.recipe, engine=mill.engine, dataset=mill.dataset, progress=show)
    counts = {"stored": done.stored, "placed": done.placed, "unstored": len(done.unstored), "version": done.version}
    return Done(done.stored, {**counts, "units_failed": len(done.failed), "set_aside": done.set_aside})


def _views(mill: Mill, show: Progress) -> Done:
    with mill.lake.connect() as con:
        waiting = views.refresh(con)
        all_signals.refresh(con, stored_tables(con))
    return Done(0, {"waiting": waiting})


ALL = (
    Pass("scan", "scan", "scan", _scan, alone=False),
    Pass("near", "near pairs", "near", _near),
    Pass("decide", "decide", "decide", _decide),
    Pass("inspect", "inspect", "inspect", _inspect, alone=False),
    Pass("annotate", "annotate", "annotate", _annotate, alone=False),
    Pass("inspect-again", "inspect", "inspect", _inspect, alone=False),
    Pass("categorize", "categorize", "categorize", _categorize),
    Pass("decide-again", "decide", "decide", _decide),
    Pass("balance", "balance", "balance", _balance),
    Pass("export", "export", "export", _export),
    Pass("views", "views", "views", _views),
)
