"""How a paragraph on a slide looks: its own properties, then those of its shape, layout, master and deck, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from synth.template.deck.colour import Tone
from synth.template.deck.theme import Theme
from synth.template.deck.xml import EMU_PER_POINT, Element, child, first, flag, local, q, whole

BULLETS = ("a:buNone", "a:buChar", "a:buAutoNum", "a:buBlip")
SYMBOL_FONTS = ("wingdings", "webdings", "symbol", "zapf")


@dataclass(frozen=True)
class Chain:
    """Where properties are looked up: `lists` are list styles (lvl1pPr ...), nearest first; `fallback`: the colour
    that a shape's style gives its text, before the deck's own; `below`: the list styles that come after it."""

    theme: Theme
    lists: tuple[Element, ...]
    fallback: Tone | None = None
    below: tuple[Element, ...] = ()
    bold: bool = False  # a table style says so


@dataclass(frozen=True)
class Style:
    """Sizes are points; lengths EMU. `spacing`: lines, a share of the font's own if positive, points if negative.
    `before`, `after`: the same of paragraphs, a share being of the size. `bullet`: a character, or "1." for numbers."""

    level: int
    size: float
    bold: bool
    italic: bool
    tone: Tone
    align: str
    latin: str
    ea: str
    spacing: float
    before: float
    after: float
    margin: float
    indent: float
    bullet: str
    bullet_tone: Tone
    bullet_scale: float
    capitals: bool
    underlined: bool
    tracking: float


def style(chain: Chain, paragraph: Element) -> Style:
    """What holds for a paragraph as a whole: the look of its first run. Raises DeckError."""
    own = child(paragraph, "a:pPr")
    level = min(max(whole(own, "lvl"), 0), 8)
    levels = [e for e in (child(held, f"a:lvl{level + 1}pPr") for held in chain.lists) if e is not None]
    deeper = [e for e in (child(held, f"a:lvl{level + 1}pPr") for held in chain.below) if e is not None]
    properties = [e for e in (own, *levels, *deeper) if e is not None]
    run = next((child(r, "a:rPr") for r in paragraph if local(r) in ("r", "fld")), None)
    if run is None:
        run = child(paragraph, "a:endParaRPr")
    runs = [e for e in (run, *(child(p, "a:defRPr") for p in levels)) if e is not None]
    last = [e for e in (child(p, "a:defRPr") for p in deeper) if e is not None]
    palette = chain.theme.palette
    tone = _tone(chain, runs) or chain.fallback or _tone(chain, last) or Tone(palette.named("tx1", None))
    runs += last
    bullet = next(_each(properties, BULLETS), None)
    colour = next(_each(properties, ("a:buClr", "a:buClrTx")), None)
    scale = next(_each(properties, ("a:buSzPct", "a:buSzPts", "a:buSzTx")), None)
    size = next((whole(r, "sz") for r in runs if r.get("sz")), 1800) / 100
    return Style(
        level=level,
        size=size,
        bold=next((flag(r, "b") for r in runs if r.get("b")), chain.bold),
        italic=next((flag(r, "i") for r in runs if r.get("i")), False),
        tone=tone,
        align=next((p.get("algn") for p in properties if p.get("algn")), "l"),
        latin=_typeface(chain.theme, runs, "latin"),
        ea=_typeface(chain.theme, runs, "ea"),
        spacing=_spacing(properties, "lnSpc", 1.0),
        before=_spacing(properties, "spcBef", 0.0),
        after=_spacing(properties, "spcAft", 0.0),
        margin=next((whole(p, "marL") for p in properties if p.get("marL")), 0),
        indent=next((whole(p, "indent") for p in properties if p.get("indent")), 0),
        bullet=_bullet(bullet, properties),
        bullet_tone=(palette.tone(colour) if colour is not None and local(colour) == "buClr" else None) or tone,
        bullet_scale=whole(scale, "val", 100000) / 100000 if scale is not None and local(scale) == "buSzPct" else 1.0,
        capitals=next((r.get("cap") == "all" for r in runs if r.get("cap")), False),
        underlined=next((r.get("u") != "none" for r in runs if r.get("u")), False),
        tracking=next((whole(r, "spc") / 100 for r in runs if r.get("spc")), 0.0),
    )


def _each(properties: list[Element], names: tuple[str, ...]) -> Iterator[Element]:
    for held in properties:
        if (found := first(held, names)) is not None:
            yield found


def _tone(chain: Chain, runs: list[Element]) -> Tone | None:
    for run in runs:
        fill = first(run, ("a:solidFill", "a:gradFill"))
        if fill is None:
            continue
        if local(fill) == "gradFill":
            fill = next(iter(fill.iterfind(f"{q('a:gsLst')}/{q('a:gs')}")), None)
        if fill is not None and (tone := chain.theme.palette.tone(fill)) is not None:
            return tone
    return None


def _typeface(theme: Theme, runs: list[Element], script: str) -> str:
    for run in runs:
        face = child(run, f"a:{script}")
        if face is not None and (name := face.get("typeface")):
            return theme.typefaces.get(name, "") if name.startswith("+") else name
    return ""


def _spacing(properties: list[Element], name: str, default: float) -> float:
    for held in properties:
        share, points = child(held, f"a:{name}", "a:spcPct"), child(held, f"a:{name}", "a:spcPts")
        if share is not None:
            return whole(share, "val") / 100000
        if points is not None:
            return -whole(points, "val") / 100
    return default


def _bullet(bullet: Element | None, properties: list[Element]) -> str:
    """Symbol fonts draw another sign than the character says, so those bullets become plain ones."""
    if bullet is None or local(bullet) == "buNone":
        return ""
    if local(bullet) == "buAutoNum":
        return "1."
    if local(bullet) == "buBlip":
        return "•"
    font = next(_each(properties, ("a:buFont",)), None)
    if font is not None and any(font.get("typeface", "").lower().startswith(name) for name in SYMBOL_FONTS):
        return "•"
    return str(bullet.get("char") or "•")[:1]


def points(emu: float) -> float:
    return emu / EMU_PER_POINT
