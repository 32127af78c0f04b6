# ruff: noqa: E501 - paths are data; cut in pieces they read worse
"""Faces, goods and dishes in a flat style."""

from __future__ import annotations

from synth.template.html.art.svg import ACCENTS, Rng, between, mix, one, shuffled, svg

SKIN = ("#f6d2b3", "#eebd94", "#d99a6c", "#b87548", "#8a5432", "#f9dcc4")
HAIR = ("#2b211d", "#4a2f22", "#7a4b2a", "#1d1f2b", "#b98a4f", "#9a9a9f")


def avatar(rng: Rng) -> str:
    """A head and shoulders on a coloured ground, with no eyes or mouth: small pictures need none."""
    ground, shirt, _ = shuffled(rng, ACCENTS)
    skin, hair = one(rng, SKIN), one(rng, HAIR)
    cut = one(
        rng,
        (
            '<path d="M27 50C22 22 38 16 50 16S78 22 73 50C70 40 66 34 60 32C50 38 38 38 33 36C30 40 28 44 27 50Z"/>',
            '<path d="M24 74C18 40 26 15 50 15S82 40 76 74H66C70 58 70 44 62 34C52 40 40 40 36 36C30 44 30 58 34 74Z"/>',
            '<path d="M29 42C27 22 40 15 52 15S74 24 71 42C68 34 62 30 50 30S32 34 29 42Z"/>',
            '<circle cx="50" cy="14" r="10"/><path d="M28 46C26 24 38 18 50 18S74 24 72 46C68 36 62 32 50 32S32 36 28 46Z"/>',
            '<path d="M26 46C14 40 24 24 32 26C32 14 46 12 52 18C62 10 74 20 70 28C84 30 82 44 74 46C72 38 66 33 50 33S30 38 26 46Z"/>',
        ),
    )
    return svg(
        100,
        100,
        f'<rect width="100" height="100" fill="{mix(ground, "var(--surface)", 45)}"/>'
        f'<path d="M12 108C12 80 30 72 50 72S88 80 88 108Z" fill="{shirt}"/>'
        f'<path d="M41 60H59V74C59 80 41 80 41 74Z" fill="{mix(skin, "#7a4a30", 84)}"/>'
        f'<ellipse cx="50" cy="47" rx="22" ry="25" fill="{skin}"/><g fill="{hair}">{cut}</g>',
    )


THINGS = ("cup", "lamp", "vase", "chair", "plant", "kettle", "bag", "headphones")


def product(rng: Rng, name: str | None = None) -> str:
    """One of THINGS on a table, by name or by chance."""
    main, second, third = shuffled(rng, ACCENTS)
    shade = mix(main, "#000", 82)
    pale = mix(second, "var(--surface)", 26)
    pot = mix(third, "var(--surface)", 80)
    drawn = (
        f'<path d="M110 150H250V240C250 290 220 310 180 310S110 290 110 240Z" fill="{main}"/>'
        f'<path d="M250 176C300 170 300 250 246 250" fill="none" stroke="{main}" stroke-width="18"/>'
        f'<ellipse cx="180" cy="150" rx="70" ry="16" fill="{shade}"/>'
        f'<path d="M150 128q-14 -20 0 -38t0 -36M192 128q-14 -20 0 -38t0 -36" fill="none" stroke="{second}" '
        'stroke-width="6" stroke-linecap="round"/>',
        f'<path d="M150 70H250L300 190H100Z" fill="{main}"/><rect x="193" y="190" width="14" height="110" fill="var(--ink)"/>'
        f'<ellipse cx="200" cy="306" rx="66" ry="13" fill="var(--ink)"/><path d="M100 190H300L350 300H50Z" '
        f'fill="{third}" opacity=".18"/>',
        f'<path d="M165 120H235V150C290 180 290 290 240 312H160C110 290 110 180 165 150Z" fill="{main}"/>'
        f'<path d="M118 232C160 250 240 250 282 232" fill="none" stroke="{third}" stroke-width="10"/>'
        f'<path d="M200 120C200 70 170 50 160 30M200 120C205 80 235 60 250 40M200 120V40" fill="none" stroke="{second}" '
        f'stroke-width="5"/><circle cx="158" cy="30" r="17" fill="{third}"/><circle cx="252" cy="40" r="15" '
        f'fill="{third}"/><circle cx="200" cy="34" r="19" fill="{mix(third, "#fff", 70)}"/>',
        f'<path d="M130 60H270Q284 60 282 76L270 200H130L118 76Q116 60 130 60Z" fill="{main}"/>'
        f'<rect x="116" y="196" width="168" height="34" rx="12" fill="{shade}"/>'
        '<path d="M134 230L118 316M266 230L282 316M160 230L156 300M240 230L244 300" stroke="var(--ink)" '
        'stroke-width="10" stroke-linecap="round"/>',
        f'<path d="M140 220H260L244 312H156Z" fill="{pot}"/><rect x="130" y="206" width="140" height="26" rx="6" '
        f'fill="{third}"/><g fill="{main}"><path d="M200 210C120 190 96 120 110 70C170 90 200 140 200 210Z"/>'
        f'<path d="M200 210C280 190 304 120 290 70C230 90 200 140 200 210Z"/></g>'
        f'<path d="M200 210C160 150 170 80 200 36C230 80 240 150 200 210Z" fill="{mix(main, "#fff", 82)}"/>',
        f'<path d="M120 190C120 130 160 110 200 110S280 130 280 190L292 290Q294 308 276 308H124Q106 308 108 290Z" '
        f'fill="{main}"/><path d="M284 180L330 140L318 210" fill="{shade}"/><path d="M140 120C150 50 250 50 260 120" '
        f'fill="none" stroke="var(--ink)" stroke-width="11"/><rect x="170" y="98" width="60" height="16" rx="8" fill="{third}"/>',
        f'<path d="M110 140H290L306 310H94Z" fill="{main}"/><path d="M150 160V110C150 50 250 50 250 110V160" '
        f'fill="none" stroke="{shade}" stroke-width="11"/><rect x="94" y="246" width="212" height="20" fill="{third}"/>',
        f'<path d="M100 220C90 100 130 60 200 60S310 100 300 220" fill="none" stroke="var(--ink)" stroke-width="16"/>'
        f'<rect x="76" y="196" width="58" height="104" rx="26" fill="{main}"/><rect x="266" y="196" width="58" '
        f'height="104" rx="26" fill="{main}"/><rect x="122" y="206" width="20" height="84" rx="9" fill="{shade}"/>'
        f'<rect x="258" y="206" width="20" height="84" rx="9" fill="{shade}"/>',
    )
    thing = drawn[THINGS.index(name) if name else int(rng.integers(len(THINGS)))]
    return svg(
        400,
        400,
        f'<rect width="400" height="400" fill="{pale}"/><circle cx="200" cy="190" r="150" '
        f'fill="{mix(second, "var(--surface)", 44)}"/><rect y="312" width="400" height="88" '
        f'fill="{mix(second, "var(--ink)", 74)}"/><ellipse cx="200" cy="316" rx="120" ry="9" fill="#000" opacity=".16"/>{thing}',
    )


def dish(rng: Rng) -> str:
    """A plate from above."""
    sauce, green, extra = shuffled(rng, ACCENTS)
    parts = [
        '<circle cx="100" cy="100" r="92" fill="var(--surface)"/>'
        f'<circle cx="100" cy="100" r="92" fill="none" stroke="{mix(extra, "var(--surface)", 60)}" stroke-width="5"/>'
        f'<circle cx="100" cy="100" r="66" fill="{mix(sauce, "var(--surface)", 60)}"/>'
        f'<circle cx="100" cy="100" r="54" fill="{sauce}"/>'
    ]
    for _ in range(int(rng.integers(5, 9))):
        x, y, r = between(rng, 68, 132), between(rng, 68, 132), between(rng, 7, 14)
        parts.append(
            f'<ellipse cx="{x}" cy="{y}" rx="{r}" ry="{r * 0.7:.1f}" fill="{mix(extra, "#fff", 84)}" '
            f'transform="rotate({between(rng, 0, 180)} {x} {y})"/>'
        )
    for _ in range(int(rng.integers(4, 8))):
        x, y = between(rng, 66, 134), between(rng, 66, 134)
        parts.append(
            f'<path d="M0 0C6 -8 16 -8 22 0C16 6 6 6 0 0Z" fill="{mix(green, "#fff", 90)}" '
            f'transform="translate({x} {y}) rotate({between(rng, 0, 360)})"/>'
        )
    return svg(200, 200, "".join(parts), fill=False)
