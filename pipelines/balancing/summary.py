"""What a balance comes to: each leaf and track beside its target, by the temporary tables `pool` and `chosen`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from pipelines.balancing.entry import BalanceEntry
from pipelines.balancing.pool import TRACKS
from pipelines.balancing.quota import Plan
from pipelines.balancing.tokens import Gini, inequality
from pipelines.categories.taxonomy import Taxonomy
from pipelines.recipe import Recipe


@dataclass(frozen=True)
class Balanced:
    """One leaf or track as balanced. `target` 0 to 1; `stage6` and `stage7`: images taken; `copies`: their weights."""

    name: str
    class_name: str | None
    target: float
    supply: int
    quota: int
    stage6: int
    stage7: int
    copies: float

    @property
    def deficit(self) -> int:
        """Images that lack: what there is does not fill the quota."""
        return max(0, self.quota - self.supply)


@dataclass(frozen=True)
class BalanceSummary:
    """What stages 6 and 7 make of a recipe's images. `uncategorised` and `ai_generated` images are left out.

    `committed` is False where the lake said the same before, and in a dry run.
    """

    recipe: str
    name: str
    size: int
    kept: int
    uncategorised: int
    ai_generated: int
    leaves: tuple[Balanced, ...]
    tracks: tuple[Balanced, ...]
    scarce: frozenset[str]
    gini: tuple[Gini, ...]
    actions: int
    committed: bool = False
    seconds: float = 0.0
    text_images: int = field(default=0)

    @property
    def stage6(self) -> int:
        return sum(leaf.stage6 for leaf in self.leaves)

    @property
    def stage7(self) -> int:
        return sum(leaf.stage7 for leaf in self.leaves)

    @property
    def deficit(self) -> int:
        return sum(leaf.deficit for leaf in self.leaves)

    @property
    def lacking_tracks(self) -> dict[str, tuple[int, int]]:
        """(wanted, there) of each track that lacks images."""
        return {track.name: (track.quota, track.supply) for track in self.tracks if track.deficit}

    def counts(self) -> dict[str, object]:
        """What the run tells in `runs`."""
        return {
            "kept": self.kept,
            "size": self.size,
            "stage6": self.stage6,
            "stage7": self.stage7,
            "deficit": self.deficit,
            "uncategorised": self.uncategorised,
            "ai_generated": self.ai_generated,
            "actions": self.actions,
            **{f"gini_{g.kind}s": [g.before, g.after] for g in self.gini},
        }


def floors(plan: Plan, entry: BalanceEntry) -> dict[str, int]:
    """The least images of each track."""
    total = sum(plan.taken.values())
    return {track: math.ceil(getattr(entry.tracks, track) * total) for track in TRACKS}


def summarise(
    con: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    taxonomy: Taxonomy,
    entry: BalanceEntry,
    plan: Plan,
    supply: Mapping[tuple[str, str], int],
    text_images: int,
) -> BalanceSummary:
    """The summary of what `chosen` says, but for the actions and whether it was committed."""
    kept, uncategorised, generated = con.execute(
        "SELECT count(*), count(*) FILTER (leaf IS NULL), count(*) FILTER (ai_generated) FROM temp.pool"
    ).fetchall()[0]
    taken = {
        (leaf, cell): tuple(row)
        for leaf, cell, *row in con.execute(
            """SELECT leaf, cell, count(*), count(*) FILTER (stage7), sum(round(weight::DOUBLE * 10000)::BIGINT)
            FROM temp.chosen GROUP BY leaf, cell"""
        ).fetchall()
    }
    tallies = {cell: (images, *taken.get(cell, (0, 0, 0))) for cell, images in supply.items()}
    least, owners = floors(plan, entry), {track.name: track.class_name for track in taxonomy.tracks}

    def balanced(name: str, owner: str | None, target: float, quota: int, place: int) -> Balanced:
        mine = [tally for cell, tally in tallies.items() if cell[place] == name]
        there, stage6, stage7, copies = (sum(column) for column in zip((0, 0, 0, 0), *mine, strict=True))
        return Balanced(name, owner, target, there, quota, stage6, stage7, copies / 10_000)

    return BalanceSummary(
        recipe=recipe.hash,
        name=recipe.name,
        size=plan.size,
        kept=kept,
        uncategorised=uncategorised,
        ai_generated=generated,
        leaves=tuple(balanced(x.path, x.class_name, x.share, plan.quotas[x.path], 0) for x in taxonomy.leaves),
        tracks=tuple(
            balanced(name, owners[name], getattr(entry.tracks, name), least[name], 1)
            for name in TRACKS
            if name in owners
        ),
        scarce=plan.scarce,
        gini=inequality(con),
        actions=0,
        text_images=text_images,
    )
