"""Balance as tables to read: leaves and tracks with their targets, and what the text weights changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.balancing.mine import Found
from pipelines.balancing.summary import Balanced, BalanceSummary

if TYPE_CHECKING:
    from rich.table import Table

FAR = 0.01  # a share further than this from its target is marked


def print_balance(done: BalanceSummary, *, dry_run: bool = False) -> None:
    """Print a balance: a row per leaf, grouped by class, then tracks and text."""
    from rich.console import Console

    console = Console()
    console.print(leaves(done))
    if any(track.quota or track.supply for track in done.tracks):
        console.print(tracks(done))
    for line in notes(done, dry_run=dry_run):
        console.print(line, highlight=False)


def leaves(done: BalanceSummary) -> Table:
    """A row per leaf and class: supply, target, quota, taken, its share of what is taken, deficit.

    A share is yellow where it stands more than a point above its target, red where below.
    """
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"balance, recipe {done.name}",
        title_justify="left",
        show_footer=True,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("category", "all", no_wrap=True, min_width=19)
    for heading, total in (
        ("supply", f"{sum(x.supply for x in done.leaves):,}"),
        ("target", "100 %"),
        ("quota", f"{done.size:,}"),
        ("stage 6", f"{done.stage6:,}"),
        ("share", ""),
        ("deficit", f"{done.deficit:,}" if done.deficit else ""),
        ("stage 7", f"{done.stage7:,}"),
    ):
        table.add_column(heading, total, justify="right")
    taken = max(1, done.stage6)
    owners = list(dict.fromkeys(leaf.class_name for leaf in done.leaves))
    for owner in owners:
        members = [leaf for leaf in done.leaves if leaf.class_name == owner]
        if len(members) > 1:
            whole = _sum(str(owner), members)
            table.add_row(*_cells(whole, str(owner), taken, sum(x.deficit for x in members)), style="bold")
        for leaf in members:
            label = f"  {leaf.name.partition('/')[2]}" if len(members) > 1 else str(owner)
            mark = " *" if leaf.name in done.scarce else ""
            table.add_row(*_cells(leaf, label + mark, taken, leaf.deficit), style="" if len(members) > 1 else "bold")
        table.add_section()
    return table


def tracks(done: BalanceSummary) -> Table:
    """A row per track: the least share asked for, and what there is."""
    from rich import box
    from rich.table import Table

    table = Table(title="tracks across the categories", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("track", no_wrap=True)
    for heading in ("supply", "at least", "wanted", "stage 6", "share", "deficit", "stage 7"):
        table.add_column(heading, justify="right")
    for track in done.tracks:
        name = f"{track.name} ({track.class_name})" if track.class_name else track.name
        share = track.stage6 / max(1, done.stage6)
        table.add_row(
            name,
            f"{track.supply:,}",
            f"{track.target:.1%}",
            f"{track.quota:,}",
            f"{track.stage6:,}",
            f"{share:.2%}",
            _or_dash(track.deficit),
            f"{track.stage7:,}",
        )
    return table


def notes(done: BalanceSummary, *, dry_run: bool) -> list[str]:
    """What the tables do not say, a line each."""
    lines = []
    if done.scarce & {leaf.name for leaf in done.leaves if leaf.quota}:
        lines.append("* too scarce to be balanced at the least size asked for; all there is is taken")
    for track in done.tracks:
        if track.stage6 < min(track.quota, track.supply):
            lines.append(f"{track.name}: the quotas of the leaves that hold it have room for {track.stage6:,} images")
    if done.uncategorised:
        lines.append(f"{done.uncategorised:,} kept images have no category and are left out: run glyphmill categorize")
    if done.ai_generated:
        lines.append(f"{done.ai_generated:,} kept images are marked as AI-generated and are left out")
    for gini in done.gini:
        lines.append(
            f"text: {gini.tokens:,} {gini.kind}s in {done.text_images:,} images; "
            f"Gini of how often each is shown {gini.before:.3f}, with weights {gini.after:.3f}"
        )
    if done.actions:
        lines.append(f"{done.actions:,} requests for what lacks are open in the table actions")
    if dry_run:
        lines.append("a dry run: nothing was written")
    elif not done.committed:
        lines.append("nothing new")
    return lines


def print_found(found: Sequence[Found], *, as_json: bool = False) -> None:
    """Print mined images, the best first."""
    from rich.console import Console
    from rich.table import Table

    if as_json:
        for image in found:
            print(json.dumps(asdict(image), ensure_ascii=False))
        return
    table = Table()
    for heading in ("image", "keyword", "cosine", "category now", "outcome", "caption"):
        table.add_column(heading, justify="right" if heading in ("keyword", "cosine") else "left", overflow="ellipsis")
    for image in found:
        outcome = image.outcome or "undecided"
        if image.failed_rules:
            outcome += f": {', '.join(image.failed_rules)}"
        table.add_row(
            image.image_id[:12],
            "-" if image.keyword is None else f"{image.keyword:.2f}",
            "-" if image.cosine is None else f"{image.cosine:.3f}",
            image.category or "-",
            outcome,
            (image.caption or "-")[:80],
        )
    console = Console()
    if not found:
        console.print("no image found for it")
        return
    console.print(table)


def _sum(name: str, members: Sequence[Balanced]) -> Balanced:
    return Balanced(
        name,
        None,
        sum(x.target for x in members),
        sum(x.supply for x in members),
        sum(x.quota for x in members),
        sum(x.stage6 for x in members),
        sum(x.stage7 for x in members),
        sum(x.copies for x in members),
    )


def _cells(one: Balanced, label: str, taken: int, deficit: int) -> list[str]:
    share = one.stage6 / taken
    gap = 100 * (share - one.target)
    colour = "" if abs(gap) <= 100 * FAR else "red" if gap < 0 else "yellow"
    return [
        label,
        f"{one.supply:,}",
        f"{one.target:.2%}",
        f"{one.quota:,}",
        f"{one.stage6:,}",
        f"[{colour}]{share:.2%}[/{colour}]" if colour else f"{share:.2%}",
        _or_dash(deficit),
        f"{one.stage7:,}",
    ]


def _or_dash(number: int) -> str:
    return f"{number:,}" if number else "-"
