"""A picture of a plan: what each source, resolution and task has of the steps, from the first to the last."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.plan.plan import Plan
from model.plan.table import shares
from warehouse.errors import MissingDependency
from warehouse.files import replacing


def plot(plan: Plan, out: Path) -> None:
    """Write a PNG. Raises MissingDependency without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency("a picture needs matplotlib: pip install 'glyphmill[plot]'") from error
    figure = Figure(figsize=(10, 8), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1])
    lines = list(shares(plan))
    for axes, part, title in (
        (top, [line for line in lines if line[0].startswith("source ")], "samples, by source"),
        (middle, [line for line in lines if line[0].endswith(" pixels")], "steps, by resolution"),
    ):
        at = part[0][1]
        axes.stackplot(at, *(line[2] for line in part), labels=[line[0].removeprefix("source ") for line in part])
        axes.set_ylim(0, 1)
        axes.set_ylabel(title)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    steps = np.unique(np.linspace(0, plan.steps - 1, min(plan.steps, 1000)).astype(int))
    bottom.plot(steps, [plan.learning_rate(int(step)) for step in steps], color="black")
    bottom.set_ylabel("learning rate")
    bottom.set_xlabel("step")
    for tables in plan.phases:
        for axes in (top, middle, bottom):
            axes.axvline(tables.first, color="black", linewidth=0.8)
        top.text(tables.first, 1.02, f" {tables.phase.name}")
    with replacing(out.absolute()) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
