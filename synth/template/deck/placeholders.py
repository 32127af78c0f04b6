"""Placeholders: where a slide's shape stands and how its text looks is told by its layout, then by its master."""

from __future__ import annotations

from collections.abc import Sequence

from synth.template.deck.xml import Element, child, local, q

#: A slide's type to the master's: the master has one title and one body.
_ON_MASTER = {"ctrTitle": "title", "subTitle": "body", "obj": "body", "tbl": "body", "chart": "body", "dgm": "body",
              "media": "body", "clipArt": "body", "pic": "body"}  # fmt: skip
ROLES = {"title": "title", "ctrTitle": "title", "subTitle": "subtitle", "body": "body", "obj": "body", "dt": "date",
         "ftr": "footer", "sldNum": "number", "hdr": "footer", "pic": "picture", "tbl": "body", "chart": "picture",
         "media": "picture", "dgm": "picture", "clipArt": "picture"}  # fmt: skip


def placeholder(shape: Element) -> Element | None:
    """The `ph` of a shape, or None."""
    head = next((e for e in shape if local(e).startswith("nv")), None)
    return child(head, "p:nvPr", "p:ph")


def kind(ph: Element) -> str:
    return str(ph.get("type", "obj"))


def shape_tree(root: Element) -> Element | None:
    return child(root, "p:cSld", "p:spTree")


def ancestors(shape: Element, layout: Element | None, master: Element | None) -> tuple[Element, ...]:
    """The layout's and the master's shapes that this placeholder takes after, nearest first."""
    ph = placeholder(shape)
    if ph is None:
        return ()
    found: list[Element] = []
    on_layout = _by_index(layout, ph) if layout is not None else None
    if on_layout is not None:
        found.append(on_layout)
        inherited = placeholder(on_layout)
        ph = inherited if inherited is not None and ph.get("type") is None else ph
    if master is not None:
        wanted = _ON_MASTER.get(kind(ph), kind(ph))
        on_master = next((s for s, p in _held(master) if kind(p) == wanted), None)
        if on_master is not None:
            found.append(on_master)
    return tuple(found)


def _held(root: Element) -> Sequence[tuple[Element, Element]]:
    tree = shape_tree(root)
    shapes = tree.iter(q("p:sp"), q("p:pic"), q("p:graphicFrame")) if tree is not None else ()
    return [(shape, ph) for shape in shapes if (ph := placeholder(shape)) is not None]


def _by_index(layout: Element, ph: Element) -> Element | None:
    held, index = _held(layout), ph.get("idx", "0")
    same = [s for s, p in held if p.get("idx", "0") == index]
    if index != "0" and same:
        return same[0]
    wanted = kind(ph)
    titles = {"title", "ctrTitle"}
    return next((s for s, p in held if kind(p) == wanted or (wanted in titles and kind(p) in titles)), None)
