"""The outlines of shapes: polygons in the shape's own box, curves already cut into short straight pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from synth.geometry import Floats
from synth.template.deck.errors import DeckError

STEPS = 16  # pieces of a quarter of a turn


@dataclass(frozen=True)
class Path:
    """`points` (n, 2). Paths of one shape are filled together, overlaps are holes."""

    points: Floats
    closed: bool = True
    filled: bool = True
    stroked: bool = True


Adjust = Mapping[str, float]
_Points = list[tuple[float, float]]
_Maker = Callable[[float, float, Adjust], _Points]


def arc(cx: float, cy: float, rx: float, ry: float, start: float, sweep: float) -> _Points:
    """Points on an ellipse from `start` degrees, clockwise by `sweep`."""
    steps = max(2, math.ceil(abs(sweep) / 90 * STEPS))
    angles = [math.radians(start + sweep * i / steps) for i in range(steps + 1)]
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


def bezier(p: _Points) -> _Points:
    """A quadratic or cubic curve through its control points, the first left out."""
    out = []
    n = len(p) - 1
    for i in range(1, STEPS + 1):
        t = i / STEPS
        weights = [math.comb(n, k) * t**k * (1 - t) ** (n - k) for k in range(n + 1)]
        out.append((sum(w * x for w, (x, _) in zip(weights, p, strict=True)),
                    sum(w * y for w, (_, y) in zip(weights, p, strict=True))))  # fmt: skip
    return out


def preset(name: str, w: float, h: float, adjust: Adjust) -> tuple[Path, ...]:
    """The outline of a preset shape of ECMA-376 part 1, 20.1.10.56. Raises DeckError for one that is not known."""
    made = _OPEN.get(name)
    if made is not None:
        return (Path(np.array(made(w, h, adjust), dtype=np.float64), closed=False, filled=False),)
    made = _CLOSED.get(name)
    if made is not None:
        return (Path(np.array(made(w, h, adjust), dtype=np.float64)),)
    if name in ("donut", "frame"):
        thick = min(w, h) * adjust.get("adj", 25000 if name == "donut" else 12500) / 100000
        shape, hole = _CLOSED["ellipse" if name == "donut" else "rect"], (w - 2 * thick, h - 2 * thick)
        inner = np.array(shape(*hole, {}), dtype=np.float64) + thick
        return (Path(np.array(shape(w, h, {}), dtype=np.float64)), Path(inner))
    raise DeckError("cannot draw", f"shape {name}")


def text_box(name: str, w: float, h: float, adjust: Adjust) -> tuple[float, float, float, float]:
    """Where text may stand within a preset shape: left, top, right, bottom."""
    if name in ("ellipse", "flowChartConnector", "donut"):
        return w * 0.1464, h * 0.1464, w * 0.8536, h * 0.8536
    if name in ("roundRect", "flowChartAlternateProcess", "wedgeRoundRectCallout"):
        inset = 0.2929 * min(w, h) * min(adjust.get("adj", 16667), 50000) / 100000
        return inset, inset, w - inset, h - inset
    if name in ("diamond", "flowChartDecision"):
        return w / 4, h / 4, w * 3 / 4, h * 3 / 4
    if name == "triangle":
        return w / 4, h / 2, w * 3 / 4, h
    if name == "rtTriangle":
        return w / 12, h * 7 / 12, w * 7 / 12, h * 11 / 12
    if name in ("homePlate", "chevron", "rightArrow", "leftArrow"):
        point = min(w, h) * adjust.get("adj2" if name.endswith("Arrow") else "adj", 50000) / 100000
        if name == "homePlate":
            return 0.0, 0.0, w - point / 2, h
        if name == "chevron":
            return min(point, w / 3), 0.0, max(w - point, w * 2 / 3), h
        half = h * (1 - adjust.get("adj1", 50000) / 100000) / 2
        return (point / 2, half, w, h - half) if name == "leftArrow" else (0.0, half, w - point / 2, h - half)
    if name in ("hexagon", "octagon", "parallelogram", "trapezoid", "pentagon", "plus"):
        return w * 0.15, h * 0.15, w * 0.85, h * 0.85
    return 0.0, 0.0, w, h


def _short(w: float, h: float, adjust: Adjust, name: str, default: float, most: float = 50000) -> float:
    return min(w, h) * min(max(adjust.get(name, default), 0), most) / 100000


def _cornered(w: float, h: float, cuts: tuple[float, float, float, float], round_: bool) -> _Points:
    """A rectangle with its corners (top left, top right, bottom right, bottom left) rounded or cut."""
    out: _Points = []
    for i, (cut, (x, y)) in enumerate(zip(cuts, ((0, 0), (w, 0), (w, h), (0, h)), strict=True)):
        sx, sy = (1 if x == 0 else -1), (1 if y == 0 else -1)
        if cut <= 0:
            out.append((x, y))
        elif round_:
            out += arc(x + sx * cut, y + sy * cut, cut, cut, 180 + 90 * i, 90)
        else:
            ends = [(x, y + sy * cut), (x + sx * cut, y)]
            out += ends if i % 2 == 0 else ends[::-1]
    return out


def _round_rect(w: float, h: float, a: Adjust) -> _Points:
    r = _short(w, h, a, "adj", 16667)
    return _cornered(w, h, (r, r, r, r), True)


def _two_corners(same: bool, round_: bool) -> Callable[[float, float, Adjust], _Points]:
    def made(w: float, h: float, a: Adjust) -> _Points:
        one = _short(w, h, a, "adj1", 16667 if round_ or same else 0)
        two = _short(w, h, a, "adj2", 0 if round_ or same else 16667)
        return _cornered(w, h, (one, one, two, two) if same else (one, two, one, two), round_)

    return made


def _one_corner(round_: bool) -> Callable[[float, float, Adjust], _Points]:
    return lambda w, h, a: _cornered(w, h, (0, _short(w, h, a, "adj", 16667), 0, 0), round_)


def _regular(points: int, inner: float = 1.0) -> Callable[[float, float, Adjust], _Points]:
    """A polygon, or a star where `inner` is below 1, stretched to its box."""

    def made(w: float, h: float, _: Adjust) -> _Points:
        count = points if inner == 1.0 else 2 * points
        turned = [math.radians(-90 + 360 * i / count) for i in range(count)]
        reach = [inner if i % 2 and count > points else 1.0 for i in range(count)]
        ring = [(math.cos(t) * r, math.sin(t) * r) for t, r in zip(turned, reach, strict=True)]
        xs, ys = [x for x, _ in ring], [y for _, y in ring]
        return [((x - min(xs)) / (max(xs) - min(xs)) * w, (y - min(ys)) / (max(ys) - min(ys)) * h) for x, y in ring]

    return made


def _arrow(turn: int) -> Callable[[float, float, Adjust], _Points]:
    """A block arrow to the right, turned by quarters clockwise."""

    def made(w: float, h: float, a: Adjust) -> _Points:
        length, breadth = (w, h) if turn % 2 == 0 else (h, w)
        head = min(min(w, h) * a.get("adj2", 50000) / 100000, length)
        half = breadth * min(a.get("adj1", 50000), 100000) / 200000
        mid = breadth / 2
        p = [(0, mid - half), (length - head, mid - half), (length - head, 0), (length, mid),
             (length - head, breadth), (length - head, mid + half), (0, mid + half)]  # fmt: skip
        if turn == 1:
            return [(breadth - y, x) for x, y in p]
        if turn == 2:
            return [(length - x, breadth - y) for x, y in p]
        if turn == 3:
            return [(y, length - x) for x, y in p]
        return p

    return made


def _chevron(w: float, h: float, a: Adjust) -> _Points:
    d = min(min(w, h) * a.get("adj", 50000) / 100000, w)
    return [(0, 0), (w - d, 0), (w, h / 2), (w - d, h), (0, h), (d, h / 2)]


def _home_plate(w: float, h: float, a: Adjust) -> _Points:
    d = min(min(w, h) * a.get("adj", 50000) / 100000, w)
    return [(0, 0), (w - d, 0), (w, h / 2), (w - d, h), (0, h)]


def _hexagon(w: float, h: float, a: Adjust) -> _Points:
    d = min(_short(w, h, a, "adj", 25000, 100000), w / 2)
    return [(0, h / 2), (d, 0), (w - d, 0), (w, h / 2), (w - d, h), (d, h)]


def _octagon(w: float, h: float, a: Adjust) -> _Points:
    d = _short(w, h, a, "adj", 29289)
    return _cornered(w, h, (d, d, d, d), False)


def _parallelogram(w: float, h: float, a: Adjust) -> _Points:
    d = min(min(w, h) * a.get("adj", 25000) / 100000, w)
    return [(d, 0), (w, 0), (w - d, h), (0, h)]


def _trapezoid(w: float, h: float, a: Adjust) -> _Points:
    d = min(min(w, h) * a.get("adj", 25000) / 100000, w / 2)
    return [(d, 0), (w - d, 0), (w, h), (0, h)]


def _plus(w: float, h: float, a: Adjust) -> _Points:
    d = _short(w, h, a, "adj", 25000)
    return [(d, 0), (w - d, 0), (w - d, d), (w, d), (w, h - d), (w - d, h - d), (w - d, h), (d, h), (d, h - d),
            (0, h - d), (0, d), (d, d)]  # fmt: skip


def _corner(w: float, h: float, a: Adjust) -> _Points:
    foot, stem = _short(w, h, a, "adj1", 50000, 1e6), _short(w, h, a, "adj2", 50000, 1e6)
    return [(0, 0), (stem, 0), (stem, h - foot), (w, h - foot), (w, h), (0, h)]


def _callout(round_: bool) -> _Maker:
    """A rectangle, its corners round or not, whose bottom or top edge runs out to a point."""

    def made(w: float, h: float, a: Adjust) -> _Points:
        px, py = w / 2 + w * a.get("adj1", -20833) / 100000, h / 2 + h * a.get("adj2", 62500) / 100000
        left, right = (w * 7 / 12, w * 10 / 12) if px > w / 2 else (w * 2 / 12, w * 5 / 12)
        r = min(w, h) * a.get("adj3", 16667) / 100000 if round_ else 0.0
        ring = _cornered(w, h, (r, r, r, r), round_)
        below = py > h / 2
        tip = [(right, h), (px, py), (left, h)] if below else [(left, 0.0), (px, py), (right, 0.0)]
        edge = h if below else 0.0
        on = [math.isclose(y, edge, abs_tol=1e-6 * max(h, 1.0)) for _, y in ring]
        at = next((i for i in range(len(ring)) if on[i] and on[(i + 1) % len(ring)]), 0)
        return ring[: at + 1] + tip + ring[at + 1 :]

    return made


def _pie(w: float, h: float, a: Adjust) -> _Points:
    start, end = a.get("adj1", 0) / 60000, a.get("adj2", 16200000) / 60000
    return [*arc(w / 2, h / 2, w / 2, h / 2, start, (end - start) % 360), (w / 2, h / 2)]


def _bent(w: float, h: float, a: Adjust) -> _Points:
    x = w * a.get("adj1", 50000) / 100000
    return [(0, 0), (x, 0), (x, h), (w, h)]


def _curved(w: float, h: float, a: Adjust) -> _Points:
    x = w * a.get("adj1", 50000) / 100000
    first = bezier([(0, 0), (x / 2, 0), (x, h / 4), (x, h / 2)])
    return [(0.0, 0.0), *first, *bezier([(x, h / 2), (x, h * 3 / 4), ((x + w) / 2, h), (w, h)])]


def _arc_line(w: float, h: float, a: Adjust) -> _Points:
    start, end = a.get("adj1", 16200000) / 60000, a.get("adj2", 0) / 60000
    return arc(w / 2, h / 2, w / 2, h / 2, start, (end - start) % 360)


def _rect(w: float, h: float, _: Adjust) -> _Points:
    return [(0, 0), (w, 0), (w, h), (0, h)]


_CLOSED: dict[str, _Maker] = {
    **dict.fromkeys(("rect", "flowChartProcess", "actionButtonBlank"), _rect),
    **dict.fromkeys(("roundRect", "flowChartAlternateProcess"), _round_rect),
    **dict.fromkeys(("ellipse", "flowChartConnector"), lambda w, h, a: arc(w / 2, h / 2, w / 2, h / 2, 0, 360)[:-1]),
    **dict.fromkeys(("diamond", "flowChartDecision"), lambda w, h, a: [(w / 2, 0), (w, h / 2), (w / 2, h), (0, h / 2)]),
    "flowChartTerminator": lambda w, h, a: _round_rect(w, h, {"adj": 50000}),
    "flowChartExtract": lambda w, h, a: [(w / 2, 0), (w, h), (0, h)],
    "flowChartMerge": lambda w, h, a: [(0, 0), (w, 0), (w / 2, h)],
    "flowChartInputOutput": lambda w, h, a: [(w / 5, 0), (w, 0), (w * 4 / 5, h), (0, h)],
    "triangle": lambda w, h, a: [(w * a.get("adj", 50000) / 100000, 0), (w, h), (0, h)],
    "rtTriangle": lambda w, h, a: [(0, 0), (w, h), (0, h)],
    "round1Rect": _one_corner(True),
    "snip1Rect": _one_corner(False),
    "round2SameRect": _two_corners(True, True),
    "round2DiagRect": _two_corners(False, True),
    "snip2SameRect": _two_corners(True, False),
    "snip2DiagRect": _two_corners(False, False),
    "pentagon": _regular(5),
    "star4": _regular(4, 0.38),
    "star5": _regular(5, 0.382),
    "star6": _regular(6, 0.577),
    "star8": _regular(8, 0.75),
    "rightArrow": _arrow(0),
    "downArrow": _arrow(1),
    "leftArrow": _arrow(2),
    "upArrow": _arrow(3),
    "chevron": _chevron,
    "homePlate": _home_plate,
    "hexagon": _hexagon,
    "octagon": _octagon,
    "parallelogram": _parallelogram,
    "trapezoid": _trapezoid,
    **dict.fromkeys(("plus", "mathPlus"), _plus),
    "corner": _corner,
    "wedgeRectCallout": _callout(False),
    "wedgeRoundRectCallout": _callout(True),
    "pie": _pie,
}
_OPEN: dict[str, _Maker] = {
    **dict.fromkeys(("line", "straightConnector1"), lambda w, h, a: [(0, 0), (w, h)]),
    "lineInv": lambda w, h, a: [(0, h), (w, 0)],
    "bentConnector2": lambda w, h, a: [(0, 0), (w, 0), (w, h)],
    "bentConnector3": _bent,
    "curvedConnector3": _curved,
    "arc": _arc_line,
}
