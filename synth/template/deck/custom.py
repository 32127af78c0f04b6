"""Outlines that a deck draws by itself: the paths of a custGeom."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import Path, arc, bezier
from synth.template.deck.xml import Element, flag, local, q, whole

MOST_POINTS = 20000
_NUMBER = re.compile(r"-?\d+(\.\d+)?$")


def custom(geometry: Element, w: float, h: float) -> tuple[Path, ...]:
    """The paths of a custGeom stretched to its box. Raises DeckError where they use what is not known."""
    out: list[Path] = []
    names = _guides(geometry, w, h)
    for path in geometry.iterfind(f"{q('a:pathLst')}/{q('a:path')}"):
        pw, ph = whole(path, "w") or w, whole(path, "h") or h
        scale = np.array([w / pw if pw else 1.0, h / ph if ph else 1.0])
        filled, stroked = path.get("fill") != "none", flag(path, "stroke", True)
        for points, closed in _pieces(path, names):
            out.append(Path(np.array(points, dtype=np.float64) * scale, closed, filled, stroked))
    if not out:
        raise DeckError("cannot draw", "a custom shape without paths")
    if sum(len(path.points) for path in out) > MOST_POINTS:
        raise DeckError("too many shapes", "a custom shape of very many points")
    return tuple(out)


def _pieces(path: Element, names: Mapping[str, float]) -> list[tuple[list[tuple[float, float]], bool]]:
    done: list[tuple[list[tuple[float, float]], bool]] = []
    now: list[tuple[float, float]] = []
    for step in path:
        kind = local(step)
        points = [(_value(p.get("x"), names), _value(p.get("y"), names)) for p in step.iterfind(q("a:pt"))]
        if kind == "moveTo":
            if len(now) > 1:
                done.append((now, False))
            now = points[:1]
        elif kind == "lnTo":
            now += points
        elif kind in ("cubicBezTo", "quadBezTo") and now:
            now += bezier([now[-1], *points])
        elif kind == "arcTo" and now:
            now += _arc_to(step, now[-1], names)
        elif kind == "close" and now:
            done.append((now, True))
            now = now[:1]
    if len(now) > 1:
        done.append((now, False))
    return done


def _arc_to(step: Element, at: tuple[float, float], names: Mapping[str, float]) -> list[tuple[float, float]]:
    rx, ry = _value(step.get("wR"), names), _value(step.get("hR"), names)
    start, sweep = _value(step.get("stAng"), names) / 60000, _value(step.get("swAng"), names) / 60000
    angle = math.radians(start)
    return arc(at[0] - rx * math.cos(angle), at[1] - ry * math.sin(angle), rx, ry, start, sweep)[1:]


def _value(text: str | None, names: Mapping[str, float]) -> float:
    if text is None:
        raise DeckError("broken XML", "a path without a point")
    if _NUMBER.match(text):
        return float(text)
    if text in names:
        return names[text]
    raise DeckError("cannot draw", f"a custom shape that reckons with {text}")


def _guides(geometry: Element, w: float, h: float) -> dict[str, float]:
    """Named values: the shape's own measures, and its formulas (ECMA-376 part 1, 20.1.9.11)."""
    short = min(w, h)
    names = {"w": w, "h": h, "l": 0.0, "t": 0.0, "r": w, "b": h, "hc": w / 2, "vc": h / 2, "ss": short, "ls": max(w, h),
             "cd2": 10800000.0, "cd4": 5400000.0, "cd8": 2700000.0, "3cd4": 16200000.0}  # fmt: skip
    names |= {f"wd{n}": w / n for n in (2, 3, 4, 5, 6, 8, 10, 32)} | {f"hd{n}": h / n for n in (2, 3, 4, 5, 6, 8)}
    names |= {f"ssd{n}": short / n for n in (2, 4, 6, 8, 16, 32)}
    for holder in ("avLst", "gdLst"):
        for guide in geometry.iterfind(f"{q(f'a:{holder}')}/{q('a:gd')}"):
            words = (guide.get("fmla") or "").split()
            operation = _FORMULAS.get(words[0]) if words else None
            if operation is None:
                raise DeckError("cannot draw", f"a custom shape's formula {guide.get('fmla')}")
            try:
                names[guide.get("name")] = operation(*(_value(word, names) for word in words[1:]))
            except (TypeError, ZeroDivisionError, ValueError) as error:
                raise DeckError("broken XML", f"formula {guide.get('fmla')}") from error
    return names


_FORMULAS: dict[str, Callable[..., float]] = {
    "val": lambda x: x,
    "*/": lambda x, y, z: x * y / z,
    "+-": lambda x, y, z: x + y - z,
    "+/": lambda x, y, z: (x + y) / z,
    "?:": lambda x, y, z: y if x > 0 else z,
    "abs": abs,
    "max": max,
    "min": min,
    "pin": lambda x, y, z: min(max(y, x), z),
    "sqrt": math.sqrt,
    "mod": lambda x, y, z: math.sqrt(x * x + y * y + z * z),
    "sin": lambda x, y: x * math.sin(math.radians(y / 60000)),
    "cos": lambda x, y: x * math.cos(math.radians(y / 60000)),
    "tan": lambda x, y: x * math.tan(math.radians(y / 60000)),
    "at2": lambda x, y: math.degrees(math.atan2(y, x)) * 60000,
}
