"""Where in this photograph the writing goes, and how: hung on a wall, laid on the ground, on posts in the foreground,
or painted straight on what is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from synth.compositional.places import Place, Seen, quad_in
from synth.geometry import Floats, apply

HUNG = (
    "paper",
    "cardboard",
    "wood",
    "metal",
    "cloth",
    "glass",
    "chalkboard",
    "whiteboard",
    "neon",
    "billboard",
    "screen",
    "stone",
)
LAID = ("paper", "cardboard", "wood", "cloth", "metal", "stone")
POSTED = ("wood", "metal", "billboard", "chalkboard", "screen", "glass", "neon", "whiteboard", "cardboard", "stone")
MOST_BUSY = 0.1  # share of edges that a board on posts may cover
NEAR = ("wood", "metal", "cloth", "glass", "chalkboard", "whiteboard", "neon", "billboard", "screen", "cardboard")
SMOOTH = 4.5  # of a place that one would paint letters on
SMALLEST = 0.15  # of the picture's longer side: the shorter side of a surface
MOST_STRETCH = 2.5


@dataclass(frozen=True)
class Site:
    """`quad` (4, 2) in pixels of the photograph; `aspect`: width to height of the surface, seen from the front.
    `stance`: hangs, lies, stands, near, direct. `materials`: what would not look odd there. `posts`: where under
    its lower edge posts stand, as shares of it."""

    quad: Floats
    aspect: float
    stance: str
    materials: tuple[str, ...]
    plane: str
    posts: tuple[float, ...] = ()


def choose_site(seen: Seen, shape: tuple[int, int], direct: float, near: float, rng: Generator) -> Site | None:
    """A place that was found, or the foreground; None where neither will do. `direct`: share of places that are written
    on without a material; `near`: of photographs without a place, the share that becomes what is seen behind a
    board."""
    h, w = shape
    roomy = [
        p
        for p in seen.places
        if min((p.box[2] - p.box[0]) * w, (p.box[3] - p.box[1]) * h) > SMALLEST * 1.15 * max(h, w)
    ]
    flat = [p for p in roomy if p.plane != "sky"]
    if flat and rng.random() < 0.8:
        weights = np.array([_area(p) * (0.3 + p.even) for p in flat])
        place = flat[int(rng.choice(len(flat), p=weights / weights.sum()))]
        return _on(place, seen, shape, direct, rng)
    sky = [p for p in roomy if p.plane == "sky"]
    outdoors = sky or any(p.plane == "ground" and p.box[2] - p.box[0] > 0.5 for p in seen.places)
    if outdoors and rng.random() < 0.75:
        posted = _posted(seen, shape, sky[0] if sky else None, rng)
        if posted is not None:
            return posted
    return _near(shape, rng) if rng.random() < near else None


def _near(shape: tuple[int, int], rng: Generator) -> Site:
    """Close to the camera, upright, the scene behind it out of focus."""
    h, w = shape
    aspect = float(rng.uniform(1.0, 1.8)) if w >= h else float(rng.uniform(0.75, 1.25))
    height = min(0.78 * h, 0.8 * w / aspect) * float(rng.uniform(0.78, 1.0))
    width = height * aspect
    cx = w / 2 + float(rng.uniform(-1, 1)) * (0.46 * w - width / 2)
    cy = h / 2 + float(rng.uniform(-0.3, 0.8)) * (0.46 * h - height / 2)
    yaw, pitch, roll = float(rng.normal(0, 0.055)), float(rng.normal(0, 0.02)), float(rng.normal(0, 0.008))
    u, v = width / 2, height / 2
    near, far = u * (1 + pitch), u * (1 - pitch)
    points = np.array([(-near, -v * (1 - yaw)), (near, -v * (1 + yaw)), (far, v * (1 + yaw)), (-far, v * (1 - yaw))])
    turned = points @ np.array([[1, roll], [-roll, 1]])
    return Site(np.clip(turned + np.array([cx, cy]), 2, (w - 2, h - 2)), aspect, "near", NEAR, "front")


def given_site(quad: Floats, direct: float, rng: Generator) -> Site:
    """In a place that was named."""
    width = (np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[3])) / 2
    height = (np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2
    stance = "direct" if rng.random() < max(direct, 0.4) else "hangs"
    return Site(quad, float(width / height), stance, HUNG, "wall")


def _area(place: Place) -> float:
    x0, y0, x1, y1 = place.box
    return (x1 - x0) * (y1 - y0)


def _on(place: Place, seen: Seen, shape: tuple[int, int], direct: float, rng: Generator) -> Site:
    h, w = shape
    x0, y0, x1, y1 = place.box
    box_aspect = (x1 - x0) * w / ((y1 - y0) * h)
    painted = rng.random() < direct and place.rough < SMOOTH
    wished = float(np.exp(rng.uniform(np.log(0.62), np.log(2.1))))
    aspect = float(np.clip(np.sqrt(box_aspect * wished), 0.55, 2.6))
    fill = 0.97 if painted else float(rng.uniform(0.8, 0.95))
    quad, aspect = quad_in(place, seen.slopes, shape, aspect, fill, rng)
    lying = place.plane == "ground"
    stance = "direct" if painted else "lies" if lying else "hangs"
    laid = LAID if y1 > 0.85 else tuple(m for m in LAID if m != "paper")  # a sheet far off would be a giant's
    return Site(quad, aspect, stance, laid if lying else HUNG, place.plane)


def _posted(seen: Seen, shape: tuple[int, int], sky: Place | None, rng: Generator) -> Site | None:
    """A board on posts, nearer than all else: where the photograph shows least, higher where there is sky."""
    h, w = shape
    aspect = float(rng.uniform(1.15, 1.9))
    width = float(rng.uniform(0.4, 0.58)) * w
    height = min(width / aspect, 0.58 * h)
    width = height * aspect
    if sky is not None and rng.random() < 0.7:
        x0, y0, x1, y1 = (v * s for v, s in zip(sky.box, (w, h, w, h), strict=True))
        width = min(max(width * 0.8, (x1 - x0) * 0.8), 0.7 * w)
        height = width / aspect
        if height > 0.6 * h:
            height, width = 0.6 * h, 0.6 * h * aspect
        cx = float(np.clip((x0 + x1) / 2, width / 2 + 4, w - width / 2 - 4))
        cy = float(np.clip((y0 + y1) / 2, height / 2 + 0.03 * h, h * 0.92 - height / 2))
        if _covered(seen, (cx / w, cy / h), (width / w, height / h)) > MOST_BUSY:
            return None
    else:
        spots = []
        for cx_share in np.linspace(width / w / 2 + 0.03, 1 - width / w / 2 - 0.03, 7):
            for cy_share in np.linspace(0.52, max(0.53, 0.9 - height / h / 2), 3):
                covered = _covered(seen, (cx_share, cy_share), (width / w, height / h))
                spots.append((covered, float(cx_share), float(cy_share)))
        busy, cx_share, cy_share = min(spots)  # a part that is nothing but edges is someone's face
        if busy > MOST_BUSY:
            return None
        cx, cy = cx_share * w, cy_share * h
    yaw = float(rng.normal(0, 0.045))
    u, v = width / 2, height / 2
    corners = np.array([(-u, -v - u * yaw), (u, -v + u * yaw), (u, v - u * yaw), (-u, v + u * yaw)])
    quad = np.clip(corners + np.array([cx, cy]), 2, np.array([w - 2, h - 2]))
    for posts in ((0.16, 0.84), (0.5,), (0.3, 0.7)):
        feet = [(cx / w + (share - 0.5) * width / w, (cy / h + height / h / 2 + 1) / 2) for share in posts]
        if all(_covered(seen, foot, (0.02, 2 * (1 - foot[1]))) < 0.5 for foot in feet):
            return Site(quad, float(width / height), "stands", POSTED, "front", posts)
    return None


def _covered(seen: Seen, middle: tuple[float, float], size: tuple[float, float]) -> float:
    """How much there is to see where a board would stand; more than anything where someone is."""
    n = len(seen.busy)
    spans = [
        slice(max(0, int((m - s / 2) * n)), max(1, int(np.ceil((m + s / 2) * n))))
        for m, s in zip(middle, size, strict=True)
    ]
    part = seen.busy[spans[1], spans[0]]
    return float(part.mean()) + 0.5 * float(part.max() >= 0.999)


def position(quad: Floats, shape: tuple[int, int]) -> str:
    """Where its middle lies, as captions name it."""
    x, y = quad.mean(axis=0) / (shape[1], shape[0])
    across = "left" if x < 0.38 else "right" if x > 0.62 else ""
    down = "top" if y < 0.36 else "bottom" if y > 0.66 else ""
    return " ".join(part for part in (down, across) if part) or "center"


def stretch(to_photo: Floats, h: int, w: int) -> float:
    """By how much the aspect of a small square changes at the worst corner or the middle, at least 1."""
    worst = 1.0
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5)):
        at = np.array([[x * w, y * h], [x * w + 1, y * h], [x * w, y * h + 1]])
        o, a, b = apply(to_photo, at)
        ratio = float(np.linalg.norm(a - o)) / max(1e-9, float(np.linalg.norm(b - o)))
        worst = max(worst, ratio, 1 / max(ratio, 1e-9))
    return worst
