"""Where writing could stand in a photograph: even parts of it, found at a quarter of a megapixel's quarter in a few
milliseconds, and how the plane there seems to lie.

A place is a rectangle of the photograph with hardly an edge and about one colour in it. A guess at its plane comes from
its position (sky, ground, wall) and, on walls, from straight lines of the photograph: how their slopes change with
height (for those across) and with x (for those upright) is how a rectangle on that wall would look.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.noise import Field, Real
from synth.geometry import Floats

WORK = 256  # longer side, in pixels, at which places are looked for
FACE_WORK = 256  # and people
Plane = Literal["wall", "ground", "sky"]
Box = tuple[float, float, float, float]
_WIDTHS = (0.28, 0.36, 0.46, 0.58, 0.72, 0.9)
_ASPECTS = (0.6, 0.8, 1.0, 1.3, 1.7, 2.3)
_STRIDE = 6  # pixels between the rectangles that are tried
_EDGE = 26.0  # step of brightness or colour, of 255, that counts as an edge
_MOST_EDGES = 0.03
_GREEN = 119.0  # of Lab's a, 0..255
_EMPTY = 0.03  # share of edges below which a photograph shows little but sky, or a wall that fills it
_MOST_SPREAD = 24.0  # standard deviation of the colours in a place


@dataclass(frozen=True)
class Place:
    """`box`: x0, y0, x1, y1 as shares of the photograph's width and height. `plane`: how it lies. `even`: 0..1.
    `rough`: mean step of brightness between neighbours at the working size."""

    box: tuple[float, float, float, float]
    plane: Plane
    even: float
    rough: float = 0.0


@dataclass(frozen=True)
class Slopes:
    """Slopes dy/dx of lines across as a line over y, of dx/dy of upright lines as a line over x (shares of height and
    width); zero where the photograph shows no such lines. `sure` says whether it does."""

    across: tuple[float, float] = (0.0, 0.0)
    upright: tuple[float, float] = (0.0, 0.0)
    sure: bool = False


@dataclass(frozen=True)
class Seen:
    """What was found in one photograph. `busy` (16, 16) float32: the share of edges in each part of it."""

    places: tuple[Place, ...]
    slopes: Slopes
    busy: Real


def look(photo: Field, keep_off: tuple[Box, ...] = ()) -> Seen:
    """The places of a photograph (h, w, 3), best first. `keep_off`: boxes, shares of width and height, not to be
    covered; where none is given, faces are looked for."""
    h, w = photo.shape[:2]
    scale = WORK / max(h, w)
    small = cv2.resize(photo, (max(32, round(w * scale)), max(32, round(h * scale))), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (3, 3), 0), cv2.COLOR_RGB2LAB)
    steps = _steps(lab)
    edges = (steps > _EDGE).astype(np.float32)
    if not keep_off:
        _keep_off_people(edges, photo)
    for x0, y0, x1, y1 in keep_off:
        eh, ew = edges.shape
        edges[int(y0 * eh) : int(np.ceil(y1 * eh)), int(x0 * ew) : int(np.ceil(x1 * ew))] = 1
    places = _places(lab, steps, edges)
    busy = cv2.resize(edges, (16, 16), interpolation=cv2.INTER_AREA)
    lines = slopes(lab[:, :, 0]) if any(p.plane == "wall" for p in places) else Slopes()
    return Seen(tuple(places), lines, busy)


@cache
def _faces() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).with_name("data") / "haarcascade_frontalface_alt2.xml"))


def _keep_off_people(edges: Real, photo: Field) -> None:
    """Marks faces, and the shoulders below them, as nothing but edges (Viola and Jones, 2001)."""
    h, w = edges.shape
    scale = FACE_WORK / max(photo.shape[:2])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    across, down = w / grey.shape[1], h / grey.shape[0]
    for x, y, fw, fh in _faces().detectMultiScale(grey, 1.25, 3, minSize=(16, 16)):
        rows = slice(max(0, int((y - 0.3 * fh) * down)), int((y + 4.5 * fh) * down))
        edges[rows, max(0, int((x - 0.8 * fw) * across)) : int((x + 1.8 * fw) * across)] = 1


def _steps(lab: Field) -> Real:
    """(h, w) float32: the largest step of brightness or colour to the neighbours."""
    dx = np.abs(cv2.Sobel(lab, cv2.CV_32F, 1, 0, ksize=3)) / 4
    dy = np.abs(cv2.Sobel(lab, cv2.CV_32F, 0, 1, ksize=3)) / 4
    both = np.maximum(dx, dy)
    both[:, :, 1:] *= 1.6
    return np.ascontiguousarray(both.max(axis=2), dtype=np.float32)


def _places(lab: Field, steps: Real, edges: Real) -> list[Place]:
    h, w = edges.shape
    sums = [cv2.integral(a, sdepth=cv2.CV_64F) for a in (edges, steps)]
    totals, squares = cv2.integral2(lab.astype(np.float32), sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    found: list[tuple[float, tuple[int, int, int, int], float, float]] = []
    for share in _WIDTHS:
        for aspect in _ASPECTS:
            bw, bh = round(w * share), round(w * share / aspect)
            if not (h * 0.18 <= bh <= h * 0.92):
                continue

            def mean(table: Real, bw: int = bw, bh: int = bh) -> Real:
                low, high, near, far = (
                    slice(bh, None, _STRIDE),
                    slice(None, -bh, _STRIDE),
                    slice(bw, None, _STRIDE),
                    slice(None, -bw, _STRIDE),
                )
                got: Real = table[low, near] - table[high, near] - table[low, far] + table[high, far]
                return got / (bw * bh)

            edge, steep = mean(sums[0]), mean(sums[1])
            middle, square = mean(totals), mean(squares)
            spread = np.sqrt(np.maximum(square - middle**2, 0) @ np.array([1.0, 2.0, 2.0]))
            good = (edge < _MOST_EDGES) & (spread < _MOST_SPREAD)
            if not good.any():
                continue
            score = np.where(
                good, (bw * bh / (w * h)) ** 0.6 * (1 - edge * 14) * (1 - spread / 50) * (1 - steep / 60), -1
            )
            y, x = np.unravel_index(int(score.argmax()), score.shape)
            box = (int(x) * _STRIDE, int(y) * _STRIDE, int(x) * _STRIDE + bw, int(y) * _STRIDE + bh)
            found.append((float(score[y, x]), box, float(1 - spread[y, x] / _MOST_SPREAD), float(steep[y, x])))
    found.sort(reverse=True)
    empty = float(edges.mean()) < _EMPTY
    kept: list[Place] = []
    boxes: list[tuple[int, int, int, int]] = []
    for _, box, even, rough in found:
        if any(_overlap(box, b) > 0.45 for b in boxes):
            continue
        boxes.append(box)
        x0, y0, x1, y1 = box
        plane = _plane(lab, box, rough)
        if plane == "wall" and empty:
            plane = "sky"
        if lab[y0:y1, x0:x1, 1].mean() < _GREEN:
            rough = max(rough, 9.0)  # grass, however far off
        if plane is not None:
            kept.append(Place((x0 / w, y0 / h, x1 / w, y1 / h), plane, even, rough))
        if len(kept) == 4:
            break
    return kept


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(0, across) * max(0, down)
    return inner / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _plane(lab: Field, box: tuple[int, int, int, int], rough: float) -> Plane | None:
    """Sky is bright, grey to blue, smooth, and reaches the upper rim or is blue; ground lies low and widens to the
    lower rim, or is green, or coarse. None for what is coarse and blue (water), and for plain black."""
    h = lab.shape[0]
    x0, y0, x1, y1 = box
    light, red, yellow = (float(v) for v in lab[y0:y1, x0:x1].reshape(-1, 3).mean(axis=0))
    water = (yellow < 124 and rough > 3.0 and y0 > 0.1 * h) or (red < _GREEN and yellow < 133)
    if light < 14 or water:
        return None
    if light > 248 and rough < 1:  # burnt out: whatever is there, it is no wall
        return "sky"
    if yellow < 114 and y0 < 0.12 * h and rough < 3:  # deep blue, as above mountains
        return "sky"
    if (
        light > 100
        and rough < 5
        and (yellow < 121 or (y0 < 0.12 * h and yellow < 132 and y1 < 0.75 * h and abs(red - 128) < 9))
    ):
        return "sky"
    if (y0 > 0.42 * h and y1 > 0.8 * h) or rough > 6.5 or (red < _GREEN and yellow > 134):
        return "ground" if y0 > 0.22 * h else None
    return "wall"


def slopes(light: Field) -> Slopes:
    """From straight lines (Grompone von Gioi et al., LSD, 2012) of the brightness (h, w)."""
    h, w = light.shape
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(np.ascontiguousarray(light))[0]
    if lines is None:
        return Slopes()
    p = lines.reshape(-1, 4).astype(np.float64)
    dx, dy = p[:, 2] - p[:, 0], p[:, 3] - p[:, 1]
    length = np.hypot(dx, dy)
    flat = (np.abs(dy) < 0.36 * np.abs(dx)) & (length > 0.12 * w)
    tall = (np.abs(dx) < 0.22 * np.abs(dy)) & (length > 0.15 * h)
    across = _line((p[flat, 1] + p[flat, 3]) / 2 / h, dy[flat] / dx[flat], length[flat])
    upright = _line((p[tall, 0] + p[tall, 2]) / 2 / w, dx[tall] / dy[tall], length[tall])
    return Slopes(across, upright, sure=bool(flat.sum() >= 3 or tall.sum() >= 3))


def _line(at: Floats, slope: Floats, weight: Floats) -> tuple[float, float]:
    """slope = a + b (at - 0.5), weighted least squares drawn towards zero: few lines say little."""
    if len(at) < 3:
        return 0.0, 0.0
    design = np.stack([np.ones_like(at), at - 0.5], axis=1)
    for _ in range(2):  # once more without what does not fit
        scaled = design * weight[:, None]
        pull = np.diag([0.4, 0.8]) * float(np.median(weight))
        a, b = np.linalg.solve(design.T @ scaled + pull, scaled.T @ slope)
        weight = weight / (1 + (np.abs(slope - a - b * (at - 0.5)) / 0.05) ** 2)
    return float(np.clip(a, -0.22, 0.22)), float(np.clip(b, -0.3, 0.3))


def quad_in(
    place: Place, seen: Slopes, shape: tuple[int, int], aspect: float, fill: float, rng: Generator
) -> tuple[Floats, float]:
    """Corners (4, 2) in pixels of a rectangle of about `aspect` (width to height) on the plane of the place, taking up
    `fill` of what fits, and the aspect that the rectangle has on its plane, seen from the front."""
    h, w = shape
    x0, y0, x1, y1 = (v * s for v, s in zip(place.box, (w, h, w, h), strict=True))
    squash = float(rng.uniform(0.6, 0.78)) if place.plane == "ground" else 1.0
    seen_aspect = aspect / squash
    bw, bh = x1 - x0, y1 - y0
    half_w = min(bw, bh * seen_aspect) / 2
    half_h = half_w / seen_aspect
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    if place.plane == "ground":
        turn, narrow = float(rng.uniform(-0.06, 0.06)), float(rng.uniform(0.10, 0.2))
        corners = [(-1 + narrow, -1), (1 - narrow, -1), (1, 1), (-1, 1)]
        points = np.array([(u * half_w - v * half_h * turn, v * half_h + u * half_w * turn) for u, v in corners])
    else:
        points = _on_wall(seen, (cx / w, cy / h), (half_w, half_h), (half_w / w, half_h / h), rng)
    reach = np.abs(points).max(axis=0)
    scale = fill * min(bw / 2 / reach[0], bh / 2 / reach[1])
    points *= scale
    free = np.maximum(np.array([bw / 2, bh / 2]) - np.abs(points).max(axis=0), 0)
    shift = rng.uniform(-0.8, 0.8, 2) * free
    return points + np.array([cx, cy]) + shift, aspect


def _on_wall(
    seen: Slopes, at: tuple[float, float], half: tuple[float, float], share: tuple[float, float], rng: Generator
) -> Floats:
    if seen.sure:
        (a, b), (c, d) = seen.across, seen.upright
        top, bottom = a + b * (at[1] - share[1] - 0.5), a + b * (at[1] + share[1] - 0.5)
        left, right = c + d * (at[0] - share[0] - 0.5), c + d * (at[0] + share[0] - 0.5)
    else:
        yaw, pitch = float(rng.normal(0, 0.04)), float(rng.normal(0, 0.015))
        top, bottom, left, right = yaw, -yaw, pitch, -pitch
    half_w, half_h = half
    out = []
    for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        along, up = (top if v < 0 else bottom), (left if u < 0 else right)
        out.append((u * half_w + v * half_h * up, v * half_h + u * half_w * along))
    return np.array(out)
