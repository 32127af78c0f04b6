"""Building a deck: a theme, a master, and for each page a layout with its ornaments and placeholders, and a slide.

Places are shares of the slide, (left, top, width, height). Colours are names of the theme (accent1, tx1, bg2 ...), with
`:60` for 60 % of its luminance towards white and `@30` for 30 % opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pptx import Presentation
from pptx.oxml import parse_xml
from pptx.util import Emu

from synth.template.deck.designs.pieces import body_settings, edge, gradient, level, paragraphs, solid
from synth.template.deck.designs.themes import Colours
from synth.template.deck.table import TABLE
from synth.template.deck.xml import A, Element, P, R, child, etree, q

Box = tuple[float, float, float, float]
SIZES = {"16:9": (12192000, 6858000), "4:3": (9144000, 6858000), "portrait": (6858000, 9699000)}
_SPACES = f'xmlns:a="{A}" xmlns:p="{P}" xmlns:r="{R}"'
_ROLE_OF = {"title": "title", "subtitle": "subTitle", "body": "body"}


class Page:
    """One page being written: `decor` goes to its layout, the rest to its slide."""

    def __init__(self, name: str, width: int, height: int) -> None:
        self.name, self.width, self.height = name, width, height
        self.layout: list[str] = []
        self.slide: list[str] = []
        self.ground = ""
        self._next = 2

    @property
    def tall(self) -> bool:
        return self.height > self.width

    def back(self, colour: str, to: str = "", angle: float = 45) -> None:
        """The page's ground: one colour, or a gradient to another."""
        fill = gradient((colour, to), angle) if to else solid(colour)
        self.ground = f"<p:bg><p:bgPr>{fill}<a:effectLst/></p:bgPr></p:bg>"

    def decor(
        self,
        kind: str,
        box: Box,
        fill: str = "",
        line: str = "",
        width: float = 1.0,
        adjust: Sequence[float] = (),
        turn: float = 0.0,
        dash: str = "",
        to: str = "",
        angle: float = 90.0,
        on_slide: bool = False,
    ) -> None:
        """A shape without text. `to`: the gradient's other colour. `adjust`: the preset's own numbers."""
        shape = self._shape("Ornament", kind, box, fill, line, width, adjust, turn, dash, to, angle, "")
        (self.slide if on_slide else self.layout).append(shape)

    def place(
        self,
        role: str,
        box: Box,
        size: float,
        words: str | Sequence[str],
        colour: str = "tx1",
        align: str = "l",
        anchor: str = "t",
        bold: bool = False,
        bullet: str = "",
        spacing: float = 100,
        after: float = 0.0,
        spc: float = 0.0,
        vertical: bool = False,
    ) -> None:
        """A placeholder: its place and looks are the layout's, its words the slide's."""
        index = self._number()
        kind = _ROLE_OF[role]
        ph = f'<p:ph type="{kind}"' + ("" if kind == "title" else f' idx="{index + 10}"') + "/>"
        looks = level(size, colour, align, bold, bullet, spacing, after, spc)
        body = body_settings(anchor, (0, 0, 0, 0), vertical)
        named = f'<p:nvSpPr><p:cNvPr id="{index}" name="{role} {index}"/><p:cNvSpPr/><p:nvPr>{ph}</p:nvPr></p:nvSpPr>'
        self.layout.append(
            f'<p:sp {_SPACES}>{named}<p:spPr>{self._xfrm(box)}<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr>'
            f"<p:txBody>{body}<a:lstStyle>{looks}</a:lstStyle>{paragraphs('Click to edit')}</p:txBody></p:sp>"
        )
        self.slide.append(
            f"<p:sp {_SPACES}>{named}<p:spPr/><p:txBody><a:bodyPr/><a:lstStyle/>{paragraphs(words)}</p:txBody></p:sp>"
        )

    def text(
        self,
        words: str | Sequence[str],
        box: Box,
        size: float,
        colour: str = "tx1",
        align: str = "l",
        anchor: str = "t",
        bold: bool = False,
        kind: str = "rect",
        fill: str = "",
        line: str = "",
        width: float = 1.0,
        bullet: str = "",
        spacing: float = 100,
        after: float = 0.0,
        spc: float = 0.0,
        inset: tuple[float, float, float, float] = (0, 0, 0, 0),
        adjust: Sequence[float] = (),
        turn: float = 0.0,
        to: str = "",
        vertical: bool = False,
    ) -> None:
        """A text box or a shape with text. `inset`: points, left, top, right, bottom."""
        looks = level(size, colour, align, bold, bullet, spacing, after, spc)
        settings = body_settings(anchor, inset, vertical)
        body = f"<p:txBody>{settings}<a:lstStyle>{looks}</a:lstStyle>{paragraphs(words)}</p:txBody>"
        self.slide.append(self._shape("Text", kind, box, fill, line, width, adjust, turn, "", to, 90.0, body))

    def table(
        self,
        box: Box,
        columns: Sequence[float],
        rows: Sequence[Sequence[str]],
        size: float,
        head: str = "accent1",
        head_text: str = "bg1",
        band: str = "",
        line: str = "tx1:50",
        side: str = "",
        side_text: str = "tx1",
        colour: str = "tx1",
        align: str = "ctr",
        across: bool = True,
        bold_side: bool = True,
    ) -> None:
        """A table with a head row. `band`: every other row's ground; `side`: the first column's; `across`: upright
        lines."""
        x, y, w, h = self._emu(box)
        total = sum(columns)
        grid = "".join(f'<a:gridCol w="{round(w * c / total)}"/>' for c in columns)
        out = []
        for r, row in enumerate(rows):
            cells = ""
            for c, words in enumerate(row):
                first, beside = r == 0 and bool(head), c == 0 and bool(side)
                ground = head if first else side if beside else band if band and r % 2 == 0 else ""
                tone = head_text if first else side_text if beside else colour
                bold = first or (c == 0 and bold_side)
                looks = level(size, tone, "l" if align == "l" else "ctr", bold, "", 100, 0, 0)
                text = f"<a:txBody><a:bodyPr/><a:lstStyle>{looks}</a:lstStyle>{paragraphs(words)}</a:txBody>"
                borders = "".join(
                    edge(n, line if n in ("lnT", "lnB") or across else "") for n in ("lnL", "lnR", "lnT", "lnB")
                )
                fill = solid(ground) if ground else "<a:noFill/>"
                cells += (
                    f'<a:tc>{text}<a:tcPr anchor="ctr" marL="63500" marR="63500" marT="25400" marB="25400">'
                    f"{borders}{fill}</a:tcPr></a:tc>"
                )
            out.append(f'<a:tr h="{round(h / len(rows))}">{cells}</a:tr>')
        index = self._number()
        self.slide.append(
            f'<p:graphicFrame {_SPACES}><p:nvGraphicFramePr><p:cNvPr id="{index}" name="Table {index}"/>'
            f"<p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>"
            f'<p:xfrm><a:off x="{x}" y="{y}"/><a:ext cx="{w}" cy="{h}"/></p:xfrm><a:graphic>'
            f'<a:graphicData uri="{TABLE}"><a:tbl><a:tblPr firstRow="1"/>'
            f"<a:tblGrid>{grid}</a:tblGrid>{''.join(out)}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
        )

    def _shape(
        self,
        name: str,
        kind: str,
        box: Box,
        fill: str,
        line: str,
        width: float,
        adjust: Sequence[float],
        turn: float,
        dash: str,
        to: str,
        angle: float,
        body: str,
    ) -> str:
        index = self._number()
        names = ("adj",) if len(adjust) == 1 else tuple(f"adj{i + 1}" for i in range(len(adjust)))
        guides = "".join(f'<a:gd name="{n}" fmla="val {round(v)}"/>' for n, v in zip(names, adjust, strict=True))
        paint = gradient((fill, to), angle) if to else solid(fill) if fill else "<a:noFill/>"
        dashes = f'<a:prstDash val="{dash}"/>' if dash else ""
        border = (
            f'<a:ln w="{round(width * 12700)}">{solid(line)}{dashes}</a:ln>' if line else "<a:ln><a:noFill/></a:ln>"
        )
        empty = "<p:txBody><a:bodyPr/><a:lstStyle/><a:p/></p:txBody>"
        box_mark = ' txBox="1"' if body and not fill and not line else ""
        return (
            f'<p:sp {_SPACES}><p:nvSpPr><p:cNvPr id="{index}" name="{name} {index}"/><p:cNvSpPr{box_mark}/><p:nvPr/>'
            f'</p:nvSpPr><p:spPr>{self._xfrm(box, turn)}<a:prstGeom prst="{kind}">'
            f"<a:avLst>{guides}</a:avLst></a:prstGeom>"
            f"{paint}{border}</p:spPr>{body or empty}</p:sp>"
        )

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _emu(self, box: Box) -> tuple[int, int, int, int]:
        x, y, w, h = box
        return round(x * self.width), round(y * self.height), round(w * self.width), round(h * self.height)

    def _xfrm(self, box: Box, turn: float = 0.0) -> str:
        x, y, w, h = self._emu(box)
        rot = f' rot="{round(turn * 60000)}"' if turn else ""
        return f'<a:xfrm{rot}><a:off x="{x}" y="{y}"/><a:ext cx="{w}" cy="{h}"/></a:xfrm>'


def build(pages: Sequence[tuple[str, Callable[[Page], None]]], aspect: str, colours: Colours) -> Any:
    """An open deck of python-pptx with one layout and one slide for each page, of at most eleven pages."""
    width, height = SIZES[aspect]
    deck = Presentation()
    deck.slide_width, deck.slide_height = Emu(width), Emu(height)
    _dress(deck, colours)
    layouts = list(deck.slide_layouts)
    for (name, compose), layout in zip(pages, layouts, strict=False):
        page = Page(name, width, height)
        compose(page)
        _replace(layout.element, page.layout, page.ground)
        layout.element.find(q("p:cSld")).set("name", name)
        layout.element.attrib.pop("type", None)
        slide = deck.slides.add_slide(layout)
        _replace(slide.element, page.slide, "")
    for layout in layouts[len(pages) :]:
        deck.slide_layouts.remove(layout)
    return deck


def _need(element: Element, *names: str) -> Element:
    """A child that python-pptx's own template is known to have."""
    found = child(element, *names)
    assert found is not None, names
    return found


def _replace(root: Any, shapes: Sequence[str], ground: str) -> None:
    tree = _need(root, "p:cSld", "p:spTree")
    for shape in list(tree)[2:]:
        tree.remove(shape)
    for shape in shapes:
        tree.append(parse_xml(shape))
    held = _need(root, "p:cSld")
    if ground:
        held.insert(0, parse_xml(ground.replace("<p:bg>", f"<p:bg {_SPACES}>", 1)))


def _dress(deck: Any, colours: Colours) -> None:
    """Put the theme's colours and typefaces, and the master's colour map, into the deck."""
    master = deck.slide_masters[0]
    part = next(r.target_part for r in master.part.rels.values() if r.reltype.endswith("/theme"))
    theme = etree.fromstring(part.blob)
    theme.set("name", colours.name)
    slots = ("dk1", "lt1", "dk2", "lt2", *(f"accent{i}" for i in range(1, 7)), "hlink", "folHlink")
    panels = (colours.soft, colours.deep) if colours.dark else (colours.deep, colours.soft)
    values = (colours.ink, colours.paper, *panels, *colours.accents, colours.accents[0], colours.accents[3])
    scheme = _need(theme, "a:themeElements", "a:clrScheme")
    scheme.set("name", colours.name)
    for slot, value in zip(slots, values, strict=True):
        element = scheme.find(q(f"a:{slot}"))
        for old in list(element):
            element.remove(old)
        etree.SubElement(element, q("a:srgbClr"), val=value)
    fonts = _need(theme, "a:themeElements", "a:fontScheme")
    for which, serif in zip(("a:majorFont", "a:minorFont"), colours.serif, strict=True):
        fonts.find(q(which)).find(q("a:latin")).set("typeface", "Noto Serif" if serif else "Noto Sans")
        fonts.find(q(which)).find(q("a:ea")).set("typeface", "Noto Serif CJK SC" if serif else "Noto Sans CJK SC")
    part._blob = etree.tostring(theme, xml_declaration=True, encoding="UTF-8", standalone=True)
    if colours.dark:
        roles = _need(master.element, "p:clrMap")
        for role, name in (("bg1", "dk1"), ("tx1", "lt1"), ("bg2", "dk2"), ("tx2", "lt2")):
            roles.set(role, name)
