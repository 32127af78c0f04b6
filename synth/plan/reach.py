"""What a plan reaches, counted from its pages: told before anything is drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from synth.hanzi import level_of
from synth.plan.plan import Made, Plan


@dataclass(frozen=True)
class LevelReach:
    """Characters of a level (None: of no level): wanted, drawn by some font, drawn as often as wanted, and in as many
    fonts as wanted. `few`: those that are in fewer fonts, though in all that draw them. `by_fonts`: how many of the
    drawn ones are in so many fonts."""

    level: int | None
    wanted: int
    drawn: int
    often: int
    in_fonts: int
    few: str
    by_fonts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Reach:
    """`images` does without the flattened ones. `bound`: images that the wanted times of what can be drawn would fill,
    and no fewer than fonts are wanted. `text_share`, `word_share`: of the characters on these, those on pages of
    sentences, and of words."""

    images: int
    flattened: int
    bound: int
    ratio: float
    text_share: float
    word_share: float
    undrawn: str
    levels: tuple[LevelReach, ...]
    fonts: tuple[tuple[str, int], ...]


def reach(plan: Plan) -> Reach:
    """Counts every page; nothing is taken over from the planning."""
    times: Counter[str] = Counter()
    faces: dict[str, set[int]] = {}
    per_font: Counter[int] = Counter()
    sizes: Counter[Made] = Counter()
    for font, made, text in plan.pages:
        per_font[font] += 1
        sizes[made] += len(text) - text.count("\n") - text.count(" ")
        if made != "flattened":
            times.update(text)
            for character in set(text):
                faces.setdefault(character, set()).add(font)
    undrawn = "".join(c for c in plan.wanted if not times[c])
    images = sum(made != "flattened" for _, made, _ in plan.pages)
    total = sum(n for c, n in plan.wanted.items() if times[c])
    fewest = max((min(plan.fonts_each, len(faces[c]), n) for c, n in plan.wanted.items() if times[c]), default=0)
    bound = max(fewest, -(-total // plan.per_image))
    by_level: dict[int | None, list[str]] = {}
    for c in plan.wanted:
        by_level.setdefault(level_of(c), []).append(c)
    rows = []
    for level in sorted(by_level, key=lambda n: n or 9):
        held = by_level[level]
        wide = [c for c in held if len(faces.get(c, ())) >= min(plan.fonts_each, plan.wanted[c])]
        few = "".join(c for c in held if times[c] and c not in set(wide))
        often = sum(times[c] >= plan.wanted[c] for c in held)
        by_fonts = Counter(len(faces[c]) for c in held if times[c])
        rows.append(
            LevelReach(level, len(held), by_fonts.total(), often, len(wide), few, tuple(sorted(by_fonts.items())))
        )
    return Reach(
        images,
        len(plan.pages) - images,
        bound,
        images / bound if bound else 0.0,
        sizes["text"] / max(1, sizes.total() - sizes["flattened"]),
        sizes["words"] / max(1, sizes.total() - sizes["flattened"]),
        undrawn,
        tuple(rows),
        tuple((plan.fonts[n].name, count) for n, count in sorted(per_font.items())),
    )


def told(found: Reach, plan: Plan) -> list[str]:
    """The reach in lines for people."""
    lines = [
        f"{found.images} images of {plan.per_image} characters, {found.ratio:.3f} of the {found.bound} that would do "
        f"were nothing drawn too often; {found.text_share:.0%} of the characters stand on pages of sentences, "
        f"{found.word_share:.0%} on pages of words"
    ]
    if found.flattened:
        lines.append(f"{found.flattened} images more of text whose characters are flattened by frequency")
    for row in found.levels:
        name = f"level {row.level}" if row.level else "others"
        lines.append(
            f"{name}: {row.wanted} characters, {row.drawn} drawn, {row.often} as often as wanted, "
            f"{row.in_fonts} in {plan.fonts_each} fonts or more (by fonts: {_histogram(row.by_fonts)})"
            + (f"; in fewer: {_some(row.few)}" if row.few else "")
        )
    if found.undrawn:
        lines.append(f"no font here draws {len(found.undrawn)}: {_some(found.undrawn)}")
    lines.append("fonts, images: " + ", ".join(f"{name} {count}" for name, count in found.fonts))
    return lines


def _some(characters: str, most: int = 40) -> str:
    return characters if len(characters) <= most else f"{characters[:most]} and {len(characters) - most} more"


def _histogram(by_fonts: tuple[tuple[int, int], ...], most: int = 6) -> str:
    """The fewest fonts first; what is beyond `most` of them is put together."""
    told = [f"{fonts}: {characters}" for fonts, characters in by_fonts[:most]]
    beyond = by_fonts[most:]
    return ", ".join([*told, *([f"{beyond[0][0]} and more: {sum(n for _, n in beyond)}"] if beyond else [])])
