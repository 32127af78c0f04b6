# ruff: noqa: E501 - paths are data; cut in pieces they read worse
"""Ornaments: abstract covers, repeating patterns, twigs and wreaths, rays, soft shapes."""

from __future__ import annotations

import math

from synth.template.html.art.svg import ACCENTS, Rng, between, mix, one, shuffled, svg


def cover(rng: Rng) -> str:
    """A composition of quarter circles, discs and bars on a grid, as on a record or a book."""
    n = int(rng.integers(3, 5))
    size = 400 / n
    colours = [*ACCENTS, "var(--ink)", "var(--surface)"]
    parts = []
    for row in range(n):
        for column in range(n):
            back, front, third = shuffled(rng, colours)[:3]
            x, y = column * size, row * size
            shape = (
                f'<circle cx="{size / 2}" cy="{size / 2}" r="{size * 0.42}" fill="{front}"/>'
                f'<circle cx="{size / 2}" cy="{size / 2}" r="{size * 0.18}" fill="{third}"/>',
                f'<path d="M0 0H{size}A{size} {size} 0 0 1 0 {size}Z" fill="{front}"/>',
                f'<path d="M0 {size}A{size / 2} {size / 2} 0 0 1 {size} {size}Z" fill="{front}"/>'
                f'<path d="M0 {size / 2}A{size / 2} {size / 2} 0 0 1 {size} {size / 2}Z" fill="{third}"/>',
                f'<path d="M0 0L{size} {size}H0Z" fill="{front}"/>',
                "".join(
                    f'<rect x="0" y="{size * k / 4:.1f}" width="{size:.1f}" height="{size / 8:.1f}" fill="{front}"/>'
                    for k in range(4)
                ),
            )[int(rng.integers(5))]
            turn = 90 * int(rng.integers(4))
            parts.append(
                f'<g transform="translate({x:.1f} {y:.1f}) rotate({turn} {size / 2:.1f} {size / 2:.1f})">'
                f'<rect width="{size + 0.5:.1f}" height="{size + 0.5:.1f}" fill="{back}"/>{shape}</g>'
            )
    return svg(400, 400, "".join(parts))


def pattern(rng: Rng) -> str:
    """A quiet repeating ground; it takes the colour that CSS gives it (`color`)."""
    size = int(rng.integers(22, 44))
    h = size / 2
    line = 'fill="none" stroke="currentColor" stroke-width="1.6"'
    tile = one(
        rng,
        (
            f'<circle cx="{h}" cy="{h}" r="{size * 0.09:.1f}" fill="currentColor"/>',
            f'<path d="M{h} {h - 5}V{h + 5}M{h - 5} {h}H{h + 5}" {line} stroke-linecap="round"/>',
            f'<path d="M0 {size}L{size} 0" {line}/>',
            f'<path d="M0 {h}q{h / 2} -{h} {h} 0t{h} 0" {line}/>',
            f'<circle cx="{h}" cy="{size}" r="{h}" {line}/><circle cx="{h}" cy="{size}" r="{h * 0.6:.1f}" {line}/>',
            f'<path d="M{h} 2L{size - 2} {h}L{h} {size - 2}L2 {h}Z" {line}/>',
            f'<path d="M0 0H{size}V{size}" {line}/>',
            f'<path d="M{h} {h + 6}L{h - 6} {h - 4}H{h + 6}Z" fill="currentColor"/>',
        ),
    )
    name = f"p{int(rng.integers(1 << 30))}"
    return (
        '<svg width="100%" height="100%" aria-hidden="true"><defs>'
        f'<pattern id="{name}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">{tile}</pattern></defs>'
        f'<rect width="100%" height="100%" fill="url(#{name})"/></svg>'
    )


def sprig(rng: Rng) -> str:
    """A twig with leaves and berries."""
    return svg(200, 300, _twig(rng, 100, 292, 262), fill=False)


def wreath(rng: Rng) -> str:
    """A ring of leaves and flowers around an empty middle."""
    leaf, flower, berry = shuffled(rng, ACCENTS)
    parts = [f'<circle cx="200" cy="200" r="168" fill="none" stroke="{mix(leaf, "var(--ink)", 80)}" stroke-width="3"/>']
    count = int(rng.integers(26, 36))
    for k in range(count):
        angle = 360 / count * k
        out = 24 if k % 2 else -24
        parts.append(
            f'<g transform="rotate({angle:.1f} 200 200) translate(200 32) rotate({90 + out})">'
            f'<path d="M0 0C12 -14 30 -14 42 0C30 12 12 12 0 0Z" fill="{leaf if k % 3 else mix(leaf, "var(--surface)", 60)}"/></g>'
        )
    for k in range(int(rng.integers(5, 9))):
        angle = math.radians(between(rng, 0, 360))
        x, y = 200 + 168 * math.cos(angle), 200 + 168 * math.sin(angle)
        parts.append(_flower(x, y, between(rng, 11, 18), flower, berry) if k % 3 else
                     f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8" fill="{berry}"/>')  # fmt: skip
    return svg(400, 400, "".join(parts), fill=False)


def rays(rng: Rng) -> str:
    """A burst of rays; it takes the colour that CSS gives it."""
    count = int(rng.integers(14, 24))
    x, y = between(rng, 240, 360), between(rng, 240, 420)
    wedges = []
    for k in range(count):
        a, b = (2 * math.pi * (k + s) / count for s in (0, 0.5))
        wedges.append(
            f"M{x} {y}L{x + 1200 * math.cos(a):.0f} {y + 1200 * math.sin(a):.0f}"
            f"L{x + 1200 * math.cos(b):.0f} {y + 1200 * math.sin(b):.0f}Z"
        )
    return svg(600, 800, f'<path d="{"".join(wedges)}" fill="currentColor"/>')


def blobs(rng: Rng) -> str:
    """Large soft shapes in the accents."""
    parts = []
    for colour in shuffled(rng, ACCENTS):
        x, y, r = between(rng, 0, 600), between(rng, 0, 600), between(rng, 110, 210)
        points = []
        for k in range(7):
            angle, reach = 2 * math.pi * k / 7, r * between(rng, 0.75, 1.2)
            points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
        middles = [((p[0] + q[0]) / 2, (p[1] + q[1]) / 2) for p, q in zip(points, points[1:] + points[:1], strict=True)]
        path = f"M{middles[-1][0]:.0f} {middles[-1][1]:.0f}" + "".join(
            f"Q{p[0]:.0f} {p[1]:.0f} {m[0]:.0f} {m[1]:.0f}" for p, m in zip(points, middles, strict=True)
        )
        parts.append(f'<path d="{path}Z" fill="{colour}" opacity=".2"/>')
    return svg(600, 600, "".join(parts))


def waves(rng: Rng) -> str:
    """Fish-scale waves in rows."""
    first, second, _ = shuffled(rng, ACCENTS)
    r = int(rng.integers(30, 50))
    parts = [f'<rect width="600" height="300" fill="{mix(first, "var(--surface)", 40)}"/>']
    for row in range(int(300 / (r / 2)) + 3):
        for k in range(int(600 / (2 * r)) + 2):
            x, y = 2 * r * k + (r if row % 2 else 0), row * r / 2 + r / 2
            for share, colour in ((1.0, first), (0.78, "var(--surface)"), (0.58, first), (0.36, second)):
                parts.append(f'<circle cx="{x}" cy="{y}" r="{r * share:.1f}" fill="{colour}"/>')
    return svg(600, 300, "".join(parts))


def seal(rng: Rng) -> str:
    """A scalloped medal, empty in the middle."""
    count = int(rng.integers(14, 22))
    points = []
    for k in range(2 * count):
        angle, reach = math.pi * k / count, 92 if k % 2 else 98
        points.append(f"{100 + reach * math.cos(angle):.1f} {100 + reach * math.sin(angle):.1f}")
    return svg(
        200,
        200,
        f'<path d="M{"L".join(points)}Z" fill="currentColor" stroke="currentColor" stroke-width="4" '
        'stroke-linejoin="round"/><circle cx="100" cy="100" r="80" fill="none" stroke="var(--surface)" '
        'stroke-width="2" stroke-dasharray="3 5" opacity=".8"/>',
        fill=False,
    )


def _twig(rng: Rng, x: float, base: float, height: float) -> str:
    leaf, berry, other = shuffled(rng, ACCENTS)
    stem = mix(leaf, "var(--ink)", 70)
    bend = between(rng, -30, 30)
    parts = [
        f'<path d="M{x} {base}Q{x + bend} {base - height / 2:.0f} {x} {base - height}" fill="none" stroke="{stem}" '
        'stroke-width="4" stroke-linecap="round"/>'
    ]
    pairs = int(rng.integers(5, 8))
    for k in range(pairs):
        t = 0.18 + 0.74 * k / (pairs - 1)
        px = x + 2 * t * (1 - t) * bend
        py = base - height * t
        reach = 58 - 30 * t
        for side in (-1, 1):
            parts.append(
                f'<path transform="translate({px:.1f} {py:.1f}) scale({side} 1) rotate(-32)" '
                f'd="M0 0C{reach * 0.3:.0f} -{reach * 0.36:.0f} {reach * 0.8:.0f} '
                f"-{reach * 0.3:.0f} {reach:.0f} 0C{reach * 0.7:.0f} {reach * 0.22:.0f} {reach * 0.3:.0f} "
                f'{reach * 0.2:.0f} 0 0Z" fill="{leaf if (k + side) % 3 else mix(leaf, "var(--surface)", 62)}"/>'
            )
        if rng.random() < 0.5:
            parts.append(f'<circle cx="{px + between(rng, -16, 16):.1f}" cy="{py - 12:.1f}" r="6" fill="{berry}"/>')
    parts.append(_flower(x, base - height, 17, other, berry))
    return "".join(parts)


def _flower(x: float, y: float, r: float, petal: str, middle: str) -> str:
    petals = "".join(
        f'<circle cx="{x + r * 0.72 * math.cos(a):.1f}" cy="{y + r * 0.72 * math.sin(a):.1f}" r="{r * 0.5:.1f}" '
        f'fill="{petal}"/>'
        for a in (2 * math.pi * k / 6 for k in range(6))
    )
    return petals + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r * 0.42:.1f}" fill="{middle}"/>'
