"""A plan of what to draw next: what is wanted, less what a lake's synthetic images show already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from annotate.ocr.blind import characters_in
from synth.corpora.corpus import open_corpus
from synth.fonts.book import open_book
from synth.hanzi import levels
from synth.plan.make import make_plan
from synth.plan.plan import write_plan
from synth.plan.reach import reach, told
from warehouse.lake import Lake
from warehouse.metadata import relations


@dataclass(frozen=True)
class Goal:
    """Each character `times`, in `fonts` fonts at least, at most `per_image` an image; `flattened` images besides."""

    times: int = 10
    fonts: int = 3
    per_image: int = 100
    flattened: int = 0
    language: str = "zh-Hans"
    seed: int = 0


def plan(
    out: Path,
    goal: Goal,
    *,
    characters: Path | None = None,
    lake: str | None = None,
    corpora: tuple[str, ...] = (),
    fonts: tuple[str, ...] = (),
) -> list[str]:
    """Write the plan; returns in words what it reaches. Raises UsageError, LakeError."""
    asked = characters_in(characters) if characters is not None else "".join(levels())
    wanted = dict.fromkeys(asked, goal.times)
    if lake is not None:
        drawn = counted(Lake.open(lake, read_only=True))
        wanted = {c: n - drawn.get(c, 0) for c, n in wanted.items() if drawn.get(c, 0) < n}
        if not wanted:
            return [f"nothing to plan: the lake's images show each of {len(asked)} characters {goal.times} times"]
    made = make_plan(
        open_book(fonts),
        open_corpus(corpora),
        wanted=wanted,
        times=goal.times,
        fonts=goal.fonts,
        per_image=goal.per_image,
        language=goal.language,
        flattened=goal.flattened,
        seed=goal.seed,
    )
    write_plan(made, out)
    draw = f"glyphmill synth pure --plan {out} --count {len(made)} --lake LAKE"
    return [*told(reach(made), made), f"{len(made)} images in {out}: {draw}"]


def counted(lake: Lake) -> dict[str, int]:
    """How often the lake's synthetic images show each character."""
    with lake.connect(read_only=True) as con:
        if "synth_coverage" not in relations(con):
            return {}
        return dict(con.execute("SELECT character, times FROM synth_coverage").fetchall())
