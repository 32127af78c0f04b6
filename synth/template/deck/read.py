"""A slide's XML to a scene: background, then the master's, the layout's and the slide's own shapes, back to front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from synth.geometry import IDENTITY
from synth.template.deck import fills
from synth.template.deck.colour import Tone
from synth.template.deck.drawings import drawing_of
from synth.template.deck.errors import DeckError
from synth.template.deck.frames import frame_of
from synth.template.deck.placeholders import ROLES, ancestors, kind, placeholder, shape_tree
from synth.template.deck.places import Place, placed, unmirrored
from synth.template.deck.scene import Drawing, Fill, Frame, Scene
from synth.template.deck.sheets import Sheet, Sheets
from synth.template.deck.styles import Chain
from synth.template.deck.table import TABLE, table_items
from synth.template.deck.xml import Element, child, first, flag, local, whole

_REFUSED = {"chart": "a chart", "chartex": "a chart", "diagram": "SmartArt", "ole": "an embedded object"}
_SHAPES = ("sp", "pic", "cxnSp", "grpSp", "graphicFrame", "contentPart", "AlternateContent")


def read_scene(sheets: Sheets, strict: bool = True) -> Scene:
    """Raises DeckError where something on the slide cannot be drawn; where another renderer draws it, `strict` is
    False, and what has no text of its own to fill is left out and named."""
    reader = _Reader(sheets, strict)
    items: list[Drawing | Frame] = []
    behind = flag(sheets.slide.root, "showMasterSp", True)
    if behind and flag(sheets.layout.root, "showMasterSp", True):
        items += reader.items(sheets.master, own=False)
    if behind:
        items += reader.items(sheets.layout, own=False)
    items += reader.items(sheets.slide, own=True)
    return Scene(sheets.width, sheets.height, reader.background(), tuple(items), tuple(dict.fromkeys(reader.left_out)))


class _Reader:
    def __init__(self, sheets: Sheets, strict: bool) -> None:
        self.sheets, self.theme, self.strict = sheets, sheets.theme, strict
        self.left_out: list[str] = []

    def background(self) -> Fill:
        try:
            return self._background()
        except DeckError as error:
            self._leave_out(error)
            return Tone(self.theme.palette.named("bg1", None))

    def _leave_out(self, error: DeckError) -> None:
        if self.strict or error.reason not in ("cannot draw", "missing media"):
            raise error
        self.left_out.append(error.detail)

    def _background(self) -> Fill:
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
        return list(self._within(tree, Place(IDENTITY), sheet, own))

    def _within(self, holder: Element, place: Place, sheet: Sheet, own: bool) -> Iterator[Drawing | Frame]:
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

    def _group(self, group: Element, place: Place, sheet: Sheet, own: bool) -> Iterator[Drawing | Frame]:
        properties = child(group, "p:grpSpPr")
        said, fill = fills.fill_within(properties, self.theme, sheet.part, place.group)
        xfrm = child(properties, "a:xfrm")
        if xfrm is None:
            yield from self._within(group, place, sheet, own)
            return
        w, h, matrix = placed(xfrm, place)
        inner, size = child(xfrm, "a:chOff"), child(xfrm, "a:chExt")
        cw, ch = whole(size, "cx") or 1, whole(size, "cy") or 1
        held = Place(matrix, whole(inner, "x"), whole(inner, "y"), w / cw, h / ch, fill if said else place.group)
        yield from self._within(group, held, sheet, own)

    def _graphic(self, frame: Element, place: Place, sheet: Sheet) -> Iterator[Drawing | Frame]:
        data = child(frame, "a:graphic", "a:graphicData")
        uri = data.get("uri", "") if data is not None else ""
        if uri != TABLE:
            named = next((v for k, v in _REFUSED.items() if k in uri), f"content of {uri}")
            self._leave_out(DeckError("cannot draw", named))
            return
        xfrm = child(frame, "p:xfrm")
        if xfrm is None or data is None:
            raise DeckError("broken XML", "a table without a place")
        _, _, matrix = placed(xfrm, place)
        chain = Chain(self.theme, (), None, self.sheets.styles())
        yield from table_items(child(data, "a:tbl"), matrix, place.sx, place.sy, chain, sheet.part)

    def _shape(self, shape: Element, place: Place, sheet: Sheet) -> Iterator[Drawing | Frame]:
        above = ancestors(shape, self.sheets.layout.root, self.sheets.master.root)
        held = [e for e in (child(s, "p:spPr") for s in (shape, *above)) if e is not None]
        xfrm = next((x for e in held if (x := child(e, "a:xfrm")) is not None), None)
        _refuse_media(shape)
        ph = placeholder(shape)
        if xfrm is None:
            if ph is not None and child(shape, "p:txBody") is not None:
                raise DeckError("broken XML", "a placeholder without a place")
            return
        w, h, matrix = placed(xfrm, place)
        geometry = next((g for e in held if (g := first(e, ("a:prstGeom", "a:custGeom"))) is not None), None)
        if local(shape) == "pic" or not self._empty(shape, ph):
            try:
                drawing, left_out = drawing_of(self.theme, shape, held, place, sheet, (w, h, matrix), geometry)
                self.left_out += left_out
                if drawing is not None:
                    yield drawing
            except DeckError as error:
                self._leave_out(error)
        body = child(shape, "p:txBody")
        if body is not None and not (ph is not None and ROLES.get(kind(ph)) == "picture"):
            frame = frame_of(self.sheets, shape, body, above, ph, (w, h), unmirrored(xfrm, place, w, h), geometry)
            if frame is not None:
                yield frame

    def _empty(self, shape: Element, ph: Element | None) -> bool:
        """An empty picture placeholder is not shown."""
        return ph is not None and ROLES.get(kind(ph)) == "picture" and local(shape) == "sp"


def _hidden(shape: Element) -> bool:
    head = next((e for e in shape if local(e).startswith("nv")), None)
    return flag(child(head, "p:cNvPr"), "hidden")


def _refuse_media(shape: Element) -> None:
    head = next((e for e in shape if local(e).startswith("nv")), None)
    held = child(head, "p:nvPr")
    if held is not None and any(local(e) in ("videoFile", "audioFile", "wavAudioFile", "quickTimeFile") for e in held):
        raise DeckError("cannot draw", "video or sound")
