"""What holds a surface where it is: tape, pins, a string, posts that reach out of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix
from synth.compositional.noise import Colour, Rgb, normal, toned
from synth.geometry import Floats, apply

PINS: tuple[Colour, ...] = ((190, 30, 36), (34, 84, 168), (236, 190, 40), (30, 130, 76), (238, 238, 236))


def behind(
    canvas: Rgb, quad: Floats, stance: str, shares: tuple[float, ...], material: str, level: float, rng: Generator
) -> None:
    """What a board in the foreground is held by, drawn before it, in place: posts, or cords from above."""
    if stance == "stands":
        posts(canvas, quad, shares, material, level, rng)
    elif stance == "near":
        if material in ("cloth", "cardboard") or rng.random() < 0.5:
            cords(canvas, quad, material, level, rng)
        else:
            posts(canvas, quad, (0.5,) if rng.random() < 0.4 else (0.18, 0.82), material, level, rng)


def tape(canvas: Rgb, to_photo: Floats, h: int, w: int, level: float, rng: Generator) -> None:
    """Strips over the corners of a sheet of (h, w), or one over its upper edge; `level` 0..1: how bright it is
    there."""
    short = min(h, w)
    long, wide = short * float(rng.uniform(0.16, 0.22)), short * float(rng.uniform(0.05, 0.07))
    spots = [(0.0, 0.0, -45.0), (w, 0.0, 45.0), (w, h, -45.0), (0.0, h, 45.0)]
    if rng.random() < 0.4:
        spots = [(w / 2, 0.0, 90.0)]
    elif rng.random() < 0.5:
        spots = spots[:2]
    tone = toned(((232, 226, 200), (222, 226, 228))[int(rng.integers(2))], level)
    for x, y, degrees in spots:
        angle = np.deg2rad(degrees + float(rng.uniform(-9, 9)))
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        ends = np.array([-long * along - wide * across, long * along - wide * across, long * along + wide * across,
                         -long * along + wide * across]) / 2  # fmt: skip
        _patch(canvas, apply(to_photo, ends + np.array([x, y])), tone, 150)


def pins(canvas: Rgb, to_photo: Floats, h: int, w: int, level: float, rng: Generator) -> None:
    """A drawing pin in each upper corner, or in the middle."""
    short = min(h, w)
    inwards = short * 0.05
    spots = np.array([[inwards, inwards], [w - inwards, inwards]] if rng.random() < 0.6 else [[w / 2, inwards]])
    there = apply(to_photo, spots)
    size = float(np.linalg.norm(apply(to_photo, spots[:1] + np.array([short * 0.026, 0]))[0] - there[0]))
    r = max(2, round(size))
    colour = toned(PINS[int(rng.integers(len(PINS)))], level)
    for x, y in np.rint(there).astype(int).tolist():
        shadow = np.zeros(canvas.shape[:2], np.uint8)[max(0, y - 4 * r) : y + 4 * r, max(0, x - 4 * r) : x + 4 * r]
        oy, ox = max(0, y - 4 * r), max(0, x - 4 * r)
        part = canvas[oy : oy + shadow.shape[0], ox : ox + shadow.shape[1]]
        if not part.size:
            continue
        cv2.circle(shadow, (x - ox + r // 2, y - oy + r), r, (130,), -1, cv2.LINE_AA)
        blended = np.ascontiguousarray(part)
        mix(blended, (0, 0, 0), cv2.GaussianBlur(shadow, (0, 0), max(0.6, r / 2.5)))
        part[:] = blended
        darker = toned(colour, 0.62)
        cv2.circle(canvas, (x, y), r, darker, -1, cv2.LINE_AA)
        cv2.circle(canvas, (x - r // 5, y - r // 5), max(1, round(r * 0.72)), colour, -1, cv2.LINE_AA)
        cv2.circle(canvas, (x - r // 3, y - r // 3), max(1, r // 4), (250, 250, 250), -1, cv2.LINE_AA)


def _patch(canvas: Rgb, quad: Floats, colour: Colour, alpha: int) -> None:
    h, w = canvas.shape[:2]
    x0, y0 = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 2, 0).tolist()
    x1, y1 = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 2, (w, h)).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [np.rint((quad - (x0, y0)) * 16).astype(np.int32)], (alpha,), cv2.LINE_AA, 4)
    part = np.ascontiguousarray(canvas[y0:y1, x0:x1])
    mix(part, colour, mask)
    canvas[y0:y1, x0:x1] = part


def posts(canvas: Rgb, quad: Floats, shares: tuple[float, ...], material: str, level: float, rng: Generator) -> None:
    """Posts from behind the board down out of the picture, round or square, lit from a side; in place."""
    h, w = canvas.shape[:2]
    width = float(np.linalg.norm(quad[2] - quad[3]))
    wooden = material in ("wood", "chalkboard", "cloth", "cardboard", "paper")
    tone = np.array((128, 92, 58) if wooden else (132, 136, 140), np.float32) * np.float32(level)
    thick = max(5, round(width * float(rng.uniform(0.035, 0.055)) * (1.2 if wooden else 0.8)))
    for share in shares:
        foot = quad[3] * (1 - share) + quad[2] * share
        x0, y0 = round(float(foot[0])) - thick // 2, max(0, round(float(foot[1])) - thick)
        x1 = min(w, x0 + thick)
        x0 = max(0, x0)
        if y0 >= h or x1 <= x0:
            continue
        around = np.linspace(-1, 1, x1 - x0, dtype=np.float32)
        light = (
            np.where(np.abs(around) > 0.8, 0.62, 0.92 - 0.1 * around)
            if wooden
            else 0.5 + 0.62 * np.exp(-(((around + 0.35) / 0.55) ** 2))
        )
        grains = normal(rng, 1 if not wooden else max(1, (h - y0) // 40 + 1), x1 - x0).astype(np.float32)
        grains = cv2.resize(grains, (x1 - x0, h - y0), interpolation=cv2.INTER_LINEAR) * np.float32(
            0.0028 if wooden else 0.0008
        )
        field = light[None, :, None] + grains[:, :, None]
        canvas[y0:, x0:x1] = np.clip(tone[None, None, :] * field, 0, 255).astype(np.uint8)
        edge = canvas[y0:, x0:x1]
        shadow = np.exp(-np.arange(h - y0, dtype=np.float32) / (thick * 1.2))[:, None, None]
        edge[:] = (edge * (1 - 0.55 * shadow)).astype(np.uint8)


def cords(canvas: Rgb, quad: Floats, material: str, level: float, rng: Generator) -> None:
    """Two cords, or steel wires, from the upper corners up out of the picture; in place."""
    steel = material in ("metal", "glass", "neon", "screen", "billboard", "whiteboard")
    tone = (150, 152, 156) if steel else (148, 118, 80)
    colour = toned(tone, level)
    dark = toned(tone, level * 0.5)
    across = quad[1] - quad[0]
    width = float(np.linalg.norm(across))
    thick = max(2, round(width * (0.006 if steel else 0.011)))
    inwards = float(rng.uniform(0.05, 0.14))
    lean = float(rng.uniform(-0.02, 0.06)) * width
    for share, sign in ((inwards, -1), (1 - inwards, 1)):
        x, y = quad[0] + across * share + (quad[3] - quad[0]) * 0.035
        top = (x - sign * lean * (y / max(1.0, width)), -4.0)
        a, b = (round(x * 16), round(y * 16)), (round(top[0] * 16), round(top[1] * 16))
        cv2.line(canvas, (a[0] + 12, a[1]), (b[0] + 12, b[1]), dark, thick, cv2.LINE_AA, 4)
        cv2.line(canvas, a, b, colour, max(1, thick - 1), cv2.LINE_AA, 4)
        if not steel:  # the twist of a rope
            count = int(y / max(2, thick))
            for n in range(count):
                px, py = x + (top[0] - x) * n / max(1, count), y + (top[1] - y) * n / max(1, count)
                cv2.line(
                    canvas,
                    (round(px - thick / 2), round(py)),
                    (round(px + thick / 2), round(py - thick * 0.7)),
                    dark,
                    1,
                    cv2.LINE_AA,
                )
