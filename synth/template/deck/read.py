"""A slide's XML to a scene: background, then the master's, the layout's and the slide's own shapes, back to front."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.geometry import IDENTITY, Floats, rotation, translation
from synth.template.deck import fills
from synth.template.deck.colour import Tone
from synth.template.deck.custom import custom
from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import Path, preset, text_box
from synth.template.deck.placeholders import ROLES, ancestors, kind, placeholder, shape_tree
from synth.template.deck.room import roomy
from synth.template.deck.scene import Drawing, Fill, Frame, Picture, Scene
from synth.template.deck.styles import Chain
from synth.template.deck.table import TABLE, table_items
from synth.template.deck.theme import Theme
from synth.template.deck.xml import Element, child, first, flag, local, q, whole

_REFUSED = {"chart": "a chart", "chartex": "a chart", "diagram": "SmartArt", "ole": "an embedded object"}
_SHAPES = ("sp", "pic", "cxnSp", "grpSp", "graphicFrame", "contentPart", "AlternateContent")
_INSETS = (("lIns", 91440), ("tIns", 45720), ("rIns", 91440), ("bIns", 45720))


@dataclass(frozen=True)
class Sheet:
    """One of the three sheets that lie over each other: its XML, and the part that its relations are of."""

    root: Element
    part: Any


@dataclass(frozen=True)
class Sheets:
    """A slide with all that it takes after. `defaults`: the deck's own text style."""

    slide: Sheet
    layout: Sheet
    master: Sheet
    theme: Theme
    defaults: Element | None
    width: int
    height: int


@dataclass(frozen=True)
class _Place:
    """The space that shapes are placed in: (v - offset) * scale, then `matrix`. `group`: the fill of the group."""

    matrix: Floats
    ox: float = 0.0
    oy: float = 0.0
    sx: float = 1.0
    sy: float = 1.0
    group: Fill | None = None


def read_scene(sheets: Sheets) -> Scene:
    """Raises DeckError where something on the slide cannot be drawn."""
    reader = _Reader(sheets)
    items: list[Drawing | Frame] = []
    behind = flag(sheets.slide.root, "showMasterSp", True)
    if behind and flag(sheets.layout.root, "showMasterSp", True):
        items += reader.items(sheets.master, own=False)
    if behind:
        items += reader.items(sheets.layout, own=False)
    items += reader.items(sheets.slide, own=True)
    return Scene(sheets.width, sheets.height, reader.background(), tuple(items), tuple(dict.fromkeys(reader.left_out)))


class _Reader:
    def __init__(self, sheets: Sheets) -> None:
        self.sheets, self.theme = sheets, sheets.theme
        self.left_out: list[str] = []

    def background(self) -> Fill:
        for sheet in (self.sheets.slide, self.sheets.layout, self.sheets.master):
            held = child(sheet.root, "p:cSld", "p:bg")
            if held is None:
                continue
            reference = child(held, "p:bgRef")
            found = (
                fills.by_number(reference, self.theme, self._theme_part())
                if reference is not None
                else fills.fill_within(child(held, "p:bgPr"), self.theme, sheet.part)[1]
            )
            if found is not None:
                return found
            break
        return Tone(self.theme.palette.named("bg1", None))

    def _theme_part(self) -> Any:
        """Pictures of a theme's fills are the theme's own relations."""
        found = next(
            (r.target_part for r in self.sheets.master.part.rels.values() if r.reltype.endswith("/theme")), None
        )
        if found is None:
            raise DeckError("broken theme", "the master has none")
        return found

    def items(self, sheet: Sheet, own: bool) -> list[Drawing | Frame]:
        tree = shape_tree(sheet.root)
        if tree is None:
            raise DeckError("broken XML", "a slide without a shape tree")
        return list(self._within(tree, _Place(IDENTITY), sheet, own))

    def _within(self, holder: Element, place: _Place, sheet: Sheet, own: bool) -> Iterator[Drawing | Frame]:
        for element in holder:
            name = local(element)
            if name not in _SHAPES or _hidden(element) or (not own and placeholder(element) is not None):
                continue
            if name == "AlternateContent":
                fallback = next((e for e in element if local(e) == "Fallback"), None)
                if fallback is None or len(fallback) == 0:
                    raise DeckError("cannot draw", "content of a newer kind")
                yield from self._within(fallback, place, sheet, own)
            elif name == "grpSp":
                yield from self._group(element, place, sheet, own)
            elif name == "graphicFrame":
                yield from self._graphic(element, place, sheet)
            elif name == "contentPart":
                raise DeckError("cannot draw", "ink")
            else:
                yield from self._shape(element, place, sheet)

    def _group(self, group: Element, place: _Place, sheet: Sheet, own: bool) -> Iterator[Drawing | Frame]:
        properties = child(group, "p:grpSpPr")
        said, fill = fills.fill_within(properties, self.theme, sheet.part, place.group)
        xfrm = child(properties, "a:xfrm")
        if xfrm is None:
            yield from self._within(group, place, sheet, own)
            return
        w, h, matrix = _placed(xfrm, place)
        inner, size = child(xfrm, "a:chOff"), child(xfrm, "a:chExt")
        cw, ch = whole(size, "cx") or 1, whole(size, "cy") or 1
        held = _Place(matrix, whole(inner, "x"), whole(inner, "y"), w / cw, h / ch, fill if said else place.group)
        yield from self._within(group, held, sheet, own)

    def _graphic(self, frame: Element, place: _Place, sheet: Sheet) -> Iterator[Drawing | Frame]:
        data = child(frame, "a:graphic", "a:graphicData")
        uri = data.get("uri", "") if data is not None else ""
        if uri != TABLE:
            raise DeckError("cannot draw", next((v for k, v in _REFUSED.items() if k in uri), f"content of {uri}"))
        xfrm = child(frame, "p:xfrm")
        if xfrm is None or data is None:
            raise DeckError("broken XML", "a table without a place")
        _, _, matrix = _placed(xfrm, place)
        chain = Chain(self.theme, (), None, self._deck_styles())
        yield from table_items(child(data, "a:tbl"), matrix, place.sx, place.sy, chain, sheet.part)

    def _shape(self, shape: Element, place: _Place, sheet: Sheet) -> Iterator[Drawing | Frame]:
        above = ancestors(shape, self.sheets.layout.root, self.sheets.master.root)
        held = [e for e in (child(s, "p:spPr") for s in (shape, *above)) if e is not None]
        xfrm = next((x for e in held if (x := child(e, "a:xfrm")) is not None), None)
        _refuse_media(shape)
        ph = placeholder(shape)
        if xfrm is None:
            if ph is not None and child(shape, "p:txBody") is not None:
                raise DeckError("broken XML", "a placeholder without a place")
            return
        w, h, matrix = _placed(xfrm, place)
        geometry = next((g for e in held if (g := first(e, ("a:prstGeom", "a:custGeom"))) is not None), None)
        if local(shape) == "pic" or not self._empty(shape, ph):
            yield from self._drawing(shape, held, place, sheet, (w, h, matrix), geometry)
        body = child(shape, "p:txBody")
        if body is not None and not (ph is not None and ROLES.get(kind(ph)) == "picture"):
            frame = self._frame(shape, body, above, ph, (w, h), _unmirrored(xfrm, place, matrix, w, h), geometry)
            if frame is not None:
                yield frame

    def _empty(self, shape: Element, ph: Element | None) -> bool:
        """An empty picture placeholder is not shown."""
        return ph is not None and ROLES.get(kind(ph)) == "picture" and local(shape) == "sp"

    def _drawing(
        self,
        shape: Element,
        held: list[Element],
        place: _Place,
        sheet: Sheet,
        box: tuple[float, float, Floats],
        geometry: Element | None,
    ) -> Iterator[Drawing]:
        w, h, matrix = box
        style = child(shape, "p:style")
        fill: Fill | None = None
        said = False
        if local(shape) == "pic":
            held_picture = child(shape, "p:blipFill")
            if held_picture is None:
                raise DeckError("missing media", "a picture without its fill")
            fill, said = fills.picture(held_picture, sheet.part), True
        for properties in held:
            if not said:
                said, fill = fills.fill_within(properties, self.theme, sheet.part, place.group)
        if not said and style is not None and local(shape) != "cxnSp":
            fill = fills.by_number(child(style, "a:fillRef"), self.theme, sheet.part)
        line = next((e for p in held if (e := child(p, "a:ln")) is not None), None)
        stroke = fills.stroke(line, child(style, "a:lnRef"), self.theme)
        shadow, left_out = fills.shadow(held[0] if held else None, child(style, "a:effectRef"), self.theme)
        for properties in held[:1]:
            if (
                child(properties, "a:sp3d", "a:bevelT") is not None
                or child(properties, "a:scene3d", "a:rot") is not None
            ):
                raise DeckError("cannot draw", "a shape in 3-D")
        if fill is None and stroke is None:
            return
        self.left_out += left_out
        name, adjust = _preset(geometry)
        if local(shape) == "cxnSp" and geometry is None:
            name = "line"
        paths = custom(geometry, w, h) if name == "" and geometry is not None else preset(name or "rect", w, h, adjust)
        if isinstance(fill, Picture) and not all(path.closed for path in paths):
            paths = (Path(np.array([(0, 0), (w, 0), (w, h), (0, h)], dtype=np.float64)),)
        yield Drawing(w, h, matrix, paths, fill, stroke, shadow if fill is not None else None)

    def _frame(
        self,
        shape: Element,
        body: Element,
        above: tuple[Element, ...],
        ph: Element | None,
        size: tuple[float, float],
        matrix: Floats,
        geometry: Element | None,
    ) -> Frame | None:
        bodies = [body, *(b for s in above if (b := child(s, "p:txBody")) is not None)]
        settings = [e for e in (child(b, "a:bodyPr") for b in bodies) if e is not None]
        words = text_of(body)
        if not words.strip() and ph is None:
            return None
        name, adjust = _preset(geometry)
        left, top, right, bottom = text_box(name or "rect", *size, adjust)
        insets = [next((whole(e, k) for e in settings if e.get(k)), default) for k, default in _INSETS]
        left, top, right, bottom = left + insets[0], top + insets[1], right - insets[2], bottom - insets[3]
        anchor = next((e.get("anchor") for e in settings if e.get("anchor")), "t")
        direction = next((e.get("vert") for e in settings if e.get("vert")), "horz")
        _refuse_text(settings, direction)
        if any(whole(e, "rot") for e in settings[:1]):
            matrix = matrix @ rotation(whole(settings[0], "rot") / 60000, size[0] / 2, size[1] / 2)
        role = ROLES.get(kind(ph), "body") if ph is not None else "text"
        font = child(shape, "p:style", "a:fontRef")
        fallback = self.theme.palette.tone(font) if font is not None else None
        lists = tuple(e for e in (child(b, "a:lstStyle") for b in bodies) if e is not None)
        title = child(self.sheets.master.root, "p:txStyles", "p:titleStyle" if role == "title" else "p:bodyStyle")
        below = (title,) if ph is not None and title is not None and role in ("title", "subtitle", "body") else ()
        head = next((e for e in shape if local(e).startswith("nv")), None)
        known = child(head, "p:cNvPr")
        frame = Frame(
            body=body,
            chain=Chain(self.theme, lists, fallback, below + self._deck_styles()),
            width=right - left,
            height=bottom - top,
            matrix=matrix @ translation(left, top),
            role=role,
            words=words,
            name=known.get("name", "") if known is not None else "",
            anchor=str(anchor),
            direction=str(direction),
        )
        wraps = next((e.get("wrap") for e in settings if e.get("wrap")), "square") != "none"
        return roomy(frame, wraps)

    def _deck_styles(self) -> tuple[Element, ...]:
        other = child(self.sheets.master.root, "p:txStyles", "p:otherStyle")
        return tuple(e for e in (self.sheets.defaults, other) if e is not None)


def text_of(body: Element) -> str:
    """The paragraphs of a text body, a line each; a vertical tab for line breaks within one."""
    lines = []
    for paragraph in body.iterfind(q("a:p")):
        parts = []
        for run in paragraph:
            if local(run) in ("r", "fld"):
                parts.append(run.findtext(q("a:t")) or "")
            elif local(run) == "br":
                parts.append("\v")
        lines.append("".join(parts))
    return "\n".join(lines)


def _hidden(shape: Element) -> bool:
    head = next((e for e in shape if local(e).startswith("nv")), None)
    return flag(child(head, "p:cNvPr"), "hidden")


def _refuse_media(shape: Element) -> None:
    head = next((e for e in shape if local(e).startswith("nv")), None)
    held = child(head, "p:nvPr")
    if held is not None and any(local(e) in ("videoFile", "audioFile", "wavAudioFile", "quickTimeFile") for e in held):
        raise DeckError("cannot draw", "video or sound")


def _refuse_text(settings: list[Element], direction: str) -> None:
    if direction not in ("horz", "eaVert", "vert", "vert270"):
        raise DeckError("cannot draw", f"text written {direction}")
    for element in settings:
        warp = child(element, "a:prstTxWarp")
        if warp is not None and warp.get("prst", "textNoShape") not in ("textNoShape", "textPlain"):
            raise DeckError("cannot draw", "WordArt")
    if next((whole(e, "numCol") for e in settings if e.get("numCol")), 1) > 1:
        raise DeckError("cannot draw", "text in columns")


def _preset(geometry: Element | None) -> tuple[str, dict[str, float]]:
    """The name of a preset shape, empty for a custom one, and its adjustments."""
    if geometry is None:
        return "rect", {}
    if local(geometry) == "custGeom":
        return "", {}
    adjust: dict[str, float] = {}
    for guide in geometry.iterfind(f"{q('a:avLst')}/{q('a:gd')}"):
        words = (guide.get("fmla") or "").split()
        if len(words) == 2 and words[0] == "val":
            try:
                adjust[guide.get("name", "")] = float(words[1])
            except ValueError as error:
                raise DeckError("broken XML", f"adjustment {words[1]!r}") from error
    return str(geometry.get("prst", "rect")), adjust


def _placed(xfrm: Element, place: _Place) -> tuple[float, float, Floats]:
    """Width, height and matrix of a shape's box: scaled with its group, then turned about its own middle."""
    w, h, at = _box(xfrm, place)
    turn = rotation(whole(xfrm, "rot") / 60000, w / 2, h / 2)
    mirror = np.diag([-1.0 if flag(xfrm, "flipH") else 1.0, -1.0 if flag(xfrm, "flipV") else 1.0, 1.0])
    middle = translation(w / 2, h / 2) @ mirror @ translation(-w / 2, -h / 2)
    return w, h, place.matrix @ translation(*at) @ turn @ middle


def _box(xfrm: Element, place: _Place) -> tuple[float, float, tuple[float, float]]:
    off, ext = child(xfrm, "a:off"), child(xfrm, "a:ext")
    w, h = whole(ext, "cx") * place.sx, whole(ext, "cy") * place.sy
    if abs(w) > 1e9 or abs(h) > 1e9:
        raise DeckError("broken XML", "a shape a kilometre wide")
    return w, h, ((whole(off, "x") - place.ox) * place.sx, (whole(off, "y") - place.oy) * place.sy)


def _unmirrored(xfrm: Element, place: _Place, matrix: Floats, w: float, h: float) -> Floats:
    """Text is never mirrored: a shape flipped upside down has its text turned around, sideways it is as it was."""
    _, _, at = _box(xfrm, place)
    turned = whole(xfrm, "rot") / 60000 + (180 if flag(xfrm, "flipV") else 0)
    out: Floats = place.matrix @ translation(*at) @ rotation(turned, w / 2, h / 2)
    if np.linalg.det(out[:2, :2]) < 0:
        out = out @ translation(w, 0) @ np.diag([-1.0, 1.0, 1.0])
    return out
