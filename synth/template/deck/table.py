"""Tables: cells to drawings of their grounds and borders, and frames for their text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from synth.geometry import Floats, translation
from synth.template.deck import fills
from synth.template.deck.colour import Tone
from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import Path
from synth.template.deck.scene import Drawing, Fill, Frame, Stroke
from synth.template.deck.styles import Chain, style
from synth.template.deck.xml import EMU_PER_POINT, A, Element, child, etree, first, flag, q, whole

TABLE: Final = "http://schemas.openxmlformats.org/drawingml/2006/table"
MOST_CELLS = 400
_LEADING = 1.45  # ems of a line
_SIDES = (("L", "lnL"), ("R", "lnR"), ("T", "lnT"), ("B", "lnB"))
_PLAIN = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"  # no style, no grid
_GRID = "{5940675A-B579-460E-94D1-54222C63F5DA}"
#: Medium Style 2 - Accent n: the family that PowerPoint gives to new tables; decks often name it without carrying it.
_MEDIUM = {
    "{5C22544A-7EE6-4342-B048-85BDC9FD1C3A}": "accent1", "{21E4AEA4-8DFA-4A89-87EB-49C32662AFE0}": "accent2",
    "{F5AB1C69-6EDB-4FF4-983F-18BD219EF322}": "accent3", "{00A15C55-8517-42AA-B614-E9B94910E393}": "accent4",
    "{7DF18680-E054-41AD-8BC1-D1AEF772440D}": "accent5", "{93296810-A885-4BE3-A3E7-6D5BEEA58F35}": "accent6",
    "{073A0DAA-6AF3-43AB-8588-CEC1D06C72B9}": "dk1",
}  # fmt: skip


def table_items(
    table: Element | None, matrix: Floats, sx: float, sy: float, chain: Chain, part: Any
) -> Iterator[Drawing | Frame]:
    """Grounds first, then borders, then text. Raises DeckError."""
    if table is None:
        raise DeckError("broken XML", "a table frame without a table")
    columns = [whole(c, "w") * sx for c in table.iterfind(f"{q('a:tblGrid')}/{q('a:gridCol')}")]
    rows = list(table.iterfind(q("a:tr")))
    look = _Look(table, chain)
    heights = [max(whole(row, "h") * sy, _lowest(row, n, len(columns), look)) for n, row in enumerate(rows)]
    if not columns or not rows or len(columns) * len(rows) > MOST_CELLS:
        raise DeckError("too many shapes" if columns and rows else "broken XML", f"a table of {len(rows)} rows")
    xs, ys = np.concatenate([[0.0], np.cumsum(columns)]), np.concatenate([[0.0], np.cumsum(heights)])
    grounds: list[Drawing] = []
    borders: list[Drawing] = []
    frames: list[Frame] = []
    for r, row in enumerate(rows):
        for c, cell in enumerate(row.iterfind(q("a:tc"))):
            if flag(cell, "hMerge") or flag(cell, "vMerge") or c >= len(columns):
                continue
            across, down = max(whole(cell, "gridSpan", 1), 1), max(whole(cell, "rowSpan", 1), 1)
            box = (xs[c], ys[r], xs[min(c + across, len(columns))], ys[min(r + down, len(rows))])
            at = (r, c, len(rows), len(columns))
            settings = child(cell, "a:tcPr")
            grounds += _ground(settings, look, at, box, matrix, part)
            borders += _borders(settings, look, at, box, matrix)
            frame = _frame(cell, settings, look, at, box, matrix)
            if frame is not None:
                frames.append(frame)
    yield from grounds
    yield from borders
    yield from frames


def _lowest(row: Element, number: int, columns: int, look: _Look) -> float:
    """A row is at least as high as the lines that its cells hold, EMU."""
    least = 0.0
    for c, cell in enumerate(row.iterfind(q("a:tc"))):
        body, settings = child(cell, "a:txBody"), child(cell, "a:tcPr")
        if body is None or flag(cell, "vMerge") or flag(cell, "hMerge") or whole(cell, "rowSpan", 1) > 1:
            continue
        chain = look.text((number, c, number + 2, columns))
        lines = sum(_LEADING * style(chain, p).size * EMU_PER_POINT for p in body.iterfind(q("a:p")))
        least = max(least, lines + whole(settings, "marT", 45720) + whole(settings, "marB", 45720))
    return least


class _Look:
    """What the table's style says of a cell by its place: ground, border, colour of its text."""

    def __init__(self, table: Element, chain: Chain) -> None:
        self.chain, palette = chain, chain.theme.palette
        settings = child(table, "a:tblPr")
        self.head, self.banded = flag(settings, "firstRow"), flag(settings, "bandRow")
        self.foot, self.side = flag(settings, "lastRow"), flag(settings, "firstCol")
        name = settings.findtext(q("a:tableStyleId")) if settings is not None else None
        self.kind = "plain"
        if name == _GRID:
            self.kind = "grid"
        elif name in _MEDIUM:
            self.kind, accent = "medium", _MEDIUM[name]
            self.accent = Tone(palette.named(accent, None))
            tinted = etree.fromstring(
                f'<x xmlns:a="{A}"><a:schemeClr val="{accent}"><a:tint val="20000"/></a:schemeClr></x>'
            )
            deeper = etree.fromstring(
                f'<x xmlns:a="{A}"><a:schemeClr val="{accent}"><a:tint val="40000"/></a:schemeClr></x>'
            )
            self.light, self.band = palette.tone(tinted), palette.tone(deeper)
        elif name not in (None, "", _PLAIN):
            raise DeckError("cannot draw", f"table style {name}")

    def _strong(self, at: tuple[int, int, int, int]) -> bool:
        r, c, rows, _ = at
        return (self.head and r == 0) or (self.foot and r == rows - 1) or (self.side and c == 0)

    def ground(self, at: tuple[int, int, int, int]) -> Fill | None:
        if self.kind != "medium":
            return None
        if self._strong(at):
            return self.accent
        banded = self.banded and (at[0] - int(self.head)) % 2 == 0
        return self.band if banded else self.light

    def stroke(self) -> Stroke | None:
        named = self.chain.theme.palette.named
        if self.kind == "medium":
            return Stroke(12700, Tone(named("lt1", None)))
        return Stroke(12700, Tone(named("tx1", None))) if self.kind == "grid" else None

    def text(self, at: tuple[int, int, int, int]) -> Chain:
        if self.kind != "medium":
            return self.chain
        strong = self._strong(at)
        tone = Tone(self.chain.theme.palette.named("lt1" if strong else "dk1", None))
        return replace(self.chain, fallback=tone, bold=strong)


Box = tuple[float, float, float, float]


def _ground(
    settings: Element | None, look: _Look, at: tuple[int, int, int, int], box: Box, matrix: Floats, part: Any
) -> Iterator[Drawing]:
    said, fill = fills.fill_within(settings, look.chain.theme, part)
    fill = fill if said else look.ground(at)
    if fill is not None:
        w, h = box[2] - box[0], box[3] - box[1]
        outline = Path(np.array([(0, 0), (w, 0), (w, h), (0, h)], dtype=np.float64))
        yield Drawing(w, h, matrix @ translation(box[0], box[1]), (outline,), fill)


def _borders(
    settings: Element | None, look: _Look, at: tuple[int, int, int, int], box: Box, matrix: Floats
) -> Iterator[Drawing]:
    x0, y0, x1, y1 = box
    ends = {"L": (x0, y0, x0, y1), "R": (x1, y0, x1, y1), "T": (x0, y0, x1, y0), "B": (x0, y1, x1, y1)}
    for side, name in _SIDES:
        line = child(settings, f"a:{name}")
        said = line is not None and first(line, fills.FILLS) is not None
        drawn = fills.stroke(line, None, look.chain.theme) if said else look.stroke()
        if drawn is not None:
            ax, ay, bx, by = ends[side]
            path = Path(np.array([(0, 0), (bx - ax, by - ay)], dtype=np.float64), closed=False, filled=False)
            yield Drawing(bx - ax, by - ay, matrix @ translation(ax, ay), (path,), None, drawn)


def _frame(
    cell: Element, settings: Element | None, look: _Look, at: tuple[int, int, int, int], box: Box, matrix: Floats
) -> Frame | None:
    body = child(cell, "a:txBody")
    if body is None:
        return None
    direction = settings.get("vert", "horz") if settings is not None else "horz"
    if direction not in ("horz", "eaVert", "vert", "vert270"):
        raise DeckError("cannot draw", f"text written {direction}")
    left, right = whole(settings, "marL", 91440), whole(settings, "marR", 91440)
    top, bottom = whole(settings, "marT", 45720), whole(settings, "marB", 45720)
    chain = look.text(at)
    own = child(body, "a:lstStyle")
    words = "\n".join("".join(t.text or "" for t in p.iter(q("a:t"))) for p in body.iterfind(q("a:p")))
    return Frame(
        body=body,
        chain=replace(chain, lists=(own,)) if own is not None else chain,
        width=box[2] - box[0] - left - right,
        height=box[3] - box[1] - top - bottom,
        matrix=matrix @ translation(box[0] + left, box[1] + top),
        role="heading" if at[0] == 0 and (look.head or look.kind == "grid") else "cell",
        words=words,
        name="table",
        anchor=settings.get("anchor", "t") if settings is not None else "t",
        direction=direction,
        row=at[0],
        column=at[1],
    )
