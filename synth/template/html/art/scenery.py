"""Places: hills, a skyline, a planet, the sea, a street map."""

from __future__ import annotations

from synth.template.html.art.svg import ACCENTS, Rng, between, mix, one, shuffled, smooth, svg


def landscape(rng: Rng) -> str:
    return (hills, sea, skyline)[int(rng.integers(3))](rng)


def hills(rng: Rng) -> str:
    """Layered hills under a sun, with trees and sometimes a house."""
    near, sun, _ = shuffled(rng, ACCENTS)
    sky = mix(sun, "var(--surface)", 26)
    parts = [f'<rect width="600" height="400" fill="{sky}"/>']
    x, y, r = between(rng, 120, 480), between(rng, 70, 150), between(rng, 34, 58)
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r + 22}" fill="{mix(sun, sky, 35)}"/>')
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r}" fill="{sun}"/>')
    parts += [_cloud(rng, sky) for _ in range(int(rng.integers(1, 4)))]
    for layer in range(4):
        share = (22, 42, 66, 92)[layer]
        base = 210 + 48 * layer
        step = 600 / 6
        points = [(-40.0, base + 10.0)]
        points += [(i * step, base + between(rng, -46 + 8 * layer, 22)) for i in range(7)]
        points.append((640.0, base + 10.0))
        colour = mix(near, sky, share)
        parts.append(f'<path d="{smooth(points)}V420H-40Z" fill="{colour}"/>')
        if layer in (2, 3):
            parts += [_tree(rng, near, base + 14 + 20 * (layer - 2), 0.6 + 0.35 * (layer - 2)) for _ in range(4)]
        if layer == 2 and rng.random() < 0.6:
            parts.append(_house(between(rng, 140, 420), base + 2))
    return svg(600, 400, "".join(parts))


def sea(rng: Rng) -> str:
    """A sun over the water, a boat, islands."""
    water, sun, land = shuffled(rng, ACCENTS)
    sky = mix(sun, "var(--surface)", 30)
    parts = [f'<rect width="600" height="400" fill="{sky}"/>']
    x = between(rng, 180, 420)
    for r, share in ((110, 30), (82, 55), (56, 100)):
        parts.append(f'<circle cx="{x}" cy="215" r="{r}" fill="{mix(sun, sky, share)}"/>')
    parts += [_cloud(rng, sky) for _ in range(2)]
    side = between(rng, 20, 120)
    parts.append(
        f'<path d="M{side - 120} 232Q{side - 20} 120 {side + 60} 190Q{side + 110} 170 {side + 190} 232Z" '
        f'fill="{mix(land, sky, 62)}"/>'
    )
    for layer in range(5):
        top = 230 + 36 * layer
        shift = between(rng, -30, 0)
        wave = "".join("q15 -9 30 0t30 0" for _ in range(12))
        parts.append(f'<path d="M{shift} {top}{wave}V420H{shift}Z" fill="{mix(water, sky, 40 + 14 * layer)}"/>')
    bx, by, k = between(rng, 220, 460), between(rng, 262, 292), between(rng, 0.8, 1.2)
    parts.append(
        f'<g transform="translate({bx} {by}) scale({k})"><path d="M-46 0H46L30 20H-30Z" fill="var(--ink)"/>'
        f'<path d="M-3 -6V-86L-44 -6Z" fill="var(--surface)"/><path d="M3 -6V-72L38 -6Z" fill="{land}"/></g>'
    )
    for _ in range(3):
        gx, gy = between(rng, 60, 540), between(rng, 50, 130)
        parts.append(
            f'<path d="M{gx} {gy}q8 -9 14 0q6 -9 14 0" fill="none" stroke="var(--ink)" stroke-width="3" '
            'stroke-linecap="round"/>'
        )
    return svg(600, 400, "".join(parts))


def skyline(rng: Rng) -> str:
    """Houses in two rows with lit windows."""
    wall, light, moon = shuffled(rng, ACCENTS)
    sky = mix(moon, "var(--surface)", 24)
    parts = [f'<rect width="600" height="400" fill="{sky}"/>']
    parts.append(f'<circle cx="{between(rng, 100, 500)}" cy="{between(rng, 60, 110)}" r="38" fill="{moon}"/>')
    parts += [_cloud(rng, sky) for _ in range(2)]
    for share, low, high in ((36, 150, 260), (88, 90, 190)):
        x = -10.0
        colour = mix(wall, sky, share)
        while x < 600:
            w, h = between(rng, 48, 86), between(rng, low, high)
            roof = int(rng.integers(4))
            top = 400 - h
            parts.append(f'<rect x="{x}" y="{top}" width="{w}" height="{h}" fill="{colour}"/>')
            if roof == 0:
                parts.append(f'<path d="M{x} {top}L{x + w / 2} {top - w * 0.4:.1f}L{x + w} {top}Z" fill="{colour}"/>')
            elif roof == 1:
                parts.append(f'<rect x="{x + w / 2 - 2}" y="{top - 30}" width="4" height="32" fill="{colour}"/>')
            elif roof == 2:
                parts.append(f'<path d="M{x} {top}a{w / 2} {w / 2} 0 0 1 {w} 0Z" fill="{colour}"/>')
            if share > 50:
                parts += _windows(rng, x, top, w, h, light)
            x += w + between(rng, 0, 6)
    return svg(600, 400, "".join(parts))


def planet(rng: Rng) -> str:
    """A ringed planet over a ridge, with stars: always a night."""
    body, ring, glow = shuffled(rng, ACCENTS)
    night = "color-mix(in srgb, var(--accent) 22%, #0d1020)"
    parts = [f'<rect width="600" height="800" fill="{night}"/>']
    for _ in range(70):
        parts.append(
            f'<circle cx="{between(rng, 0, 600)}" cy="{between(rng, 0, 620)}" r="{between(rng, 0.8, 2.6)}" '
            f'fill="#fff" opacity="{between(rng, 0.3, 1)}"/>'
        )
    x, y, r = between(rng, 210, 390), between(rng, 300, 380), between(rng, 105, 150)
    tilt = between(rng, -28, 28)
    parts.append(f'<circle cx="{x}" cy="{y}" r="{r * 1.5:.0f}" fill="{glow}" opacity=".14"/>')
    wide, flat = r * 1.75, r * 0.36
    band = f'fill="none" stroke="{ring}" stroke-width="10" transform="rotate({tilt} {x} {y})"'
    half = f"M{x - wide:.0f} {y}a{wide:.0f} {flat:.0f} 0 0 {{}} {2 * wide:.0f} 0"
    parts.append(f'<path d="{half.format(1)}" {band} opacity=".7"/><circle cx="{x}" cy="{y}" r="{r}" fill="{body}"/>')
    parts.append(
        f'<path d="M{x - r} {y}a{r} {r} 0 0 0 {2 * r} 0a{r * 1.35:.0f} {r * 1.2:.0f} 0 0 1 -{2 * r} 0Z" '
        f'fill="#000" opacity=".22"/><path d="{half.format(0)}" {band}/>'
    )
    for layer, share in enumerate((48, 26, 10)):
        base = 640 + 46 * layer
        points = [(-20.0, float(base))]
        points += [(i * 75.0, base + between(rng, -60, 20)) for i in range(9)]
        points.append((640.0, float(base)))
        line = "L".join(f"{px:.0f} {py:.0f}" for px, py in points)
        parts.append(f'<path d="M{line}V820H-20Z" fill="{mix(body, "#0b0d18", share)}"/>')
    return svg(600, 800, "".join(parts))


def street_map(rng: Rng) -> str:
    """Blocks, a river, a park, a way and its pin."""
    parts = ['<rect width="600" height="400" fill="var(--faint)"/>']
    for x in range(-20, 620, 62):
        for y in range(-10, 410, 48):
            if rng.random() < 0.86:
                colour = "var(--surface)" if rng.random() < 0.8 else mix("var(--accent3)", "var(--surface)", 34)
                parts.append(f'<rect x="{x}" y="{y}" width="54" height="40" rx="5" fill="{colour}"/>')
    bank = between(rng, 80, 300)
    river = smooth([(-20, bank), (140, bank + 50), (300, bank - 40), (460, bank + 40), (620, bank - 30)])
    parts.append(
        f'<path d="{river}" fill="none" stroke="{mix("var(--accent2)", "var(--surface)", 55)}" stroke-width="34"/>'
    )
    way = between(rng, 120, 420)
    parts.append(
        f'<path d="M{way - 60} 400V260H{way + 90}V120" fill="none" stroke="var(--accent)" stroke-width="9" '
        'stroke-linejoin="round" stroke-linecap="round"/>'
        f'<path d="M{way + 90} 122c-30 -36 -30 -72 0 -76c30 4 30 40 0 76Z" fill="var(--accent)"/>'
        f'<circle cx="{way + 90}" cy="74" r="10" fill="var(--surface)"/>'
    )
    return svg(600, 400, "".join(parts))


def _cloud(rng: Rng, sky: str) -> str:
    x, y, k = between(rng, 40, 520), between(rng, 40, 140), between(rng, 0.6, 1.1)
    return (
        f'<path transform="translate({x} {y}) scale({k})" fill="{mix("var(--surface)", sky, 78)}" '
        'd="M-50 18a18 18 0 0 1 8 -34a30 30 0 0 1 56 -6a22 22 0 0 1 34 40Z"/>'
    )


def _tree(rng: Rng, colour: str, base: float, k: float) -> str:
    x, tone = between(rng, 10, 590), mix(colour, "var(--ink)", 74)
    crown = one(
        rng,
        (
            '<path d="M0 -86L26 -18H-26Z"/><path d="M0 -60L32 4H-32Z"/>',
            '<ellipse cx="0" cy="-44" rx="24" ry="36"/>',
            '<circle cx="-12" cy="-34" r="20"/><circle cx="14" cy="-38" r="22"/><circle cx="2" cy="-58" r="20"/>',
        ),
    )
    return (
        f'<g transform="translate({x} {base:.0f}) scale({k * between(rng, 0.7, 1.1):.2f})" fill="{tone}">'
        f'<rect x="-4" y="-20" width="8" height="40" fill="var(--ink)" opacity=".7"/>{crown}</g>'
    )


def _house(x: float, y: float) -> str:
    return (
        f'<g transform="translate({x} {y})"><rect x="-30" y="-34" width="60" height="40" fill="var(--surface)"/>'
        '<path d="M-40 -32L0 -66L40 -32Z" fill="var(--accent2)"/><rect x="-8" y="-16" width="16" height="22" '
        'fill="var(--ink)"/><rect x="14" y="-24" width="11" height="11" fill="var(--accent3)"/></g>'
    )


def _windows(rng: Rng, x: float, top: float, w: float, h: float, light: str) -> list[str]:
    lit = []
    for column in range(int((w - 14) // 16)):
        for row in range(int((h - 20) // 22)):
            colour = light if rng.random() < 0.45 else mix("var(--surface)", "transparent", 22)
            lit.append(
                f'<rect x="{x + 10 + 16 * column:.1f}" y="{top + 12 + 22 * row:.1f}" width="8" height="11" '
                f'fill="{colour}"/>'
            )
    return lit
