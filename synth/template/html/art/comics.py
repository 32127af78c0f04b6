# ruff: noqa: E501 - paths are data; cut in pieces they read worse
"""Drawn people, a cat, a robot, and the stages they stand on: bold outlines, plain shapes, one expression each."""

from __future__ import annotations

from synth.template.html.art.scenery import hills, sea, skyline
from synth.template.html.art.svg import ACCENTS, Rng, between, mix, one, shuffled, svg
from synth.template.html.art.things import HAIR, SKIN

INK = "#221d20"
LINE = f'stroke="{INK}" stroke-width="5" stroke-linejoin="round" stroke-linecap="round"'
BARE = f'fill="none" {LINE}'

MOUTHS = (
    f'<path d="M86 112Q100 126 114 112" {BARE}/>',
    f'<path d="M84 110Q100 138 116 110Z" fill="#a8323a" {LINE}/>',
    f'<ellipse cx="100" cy="118" rx="8" ry="10" fill="#a8323a" {LINE}/>',
    f'<path d="M88 120Q100 110 112 120" {BARE}/>',
    f'<path d="M88 116H112" {BARE}/>',
)
EYES = (
    f'<circle cx="80" cy="90" r="5.5" fill="{INK}"/><circle cx="120" cy="90" r="5.5" fill="{INK}"/>',
    f'<path d="M72 92q8 -10 16 0M112 92q8 -10 16 0" {BARE}/>',
    f'<circle cx="80" cy="88" r="11" fill="#fff" {LINE}/><circle cx="120" cy="88" r="11" fill="#fff" {LINE}/>'
    f'<circle cx="82" cy="90" r="4" fill="{INK}"/><circle cx="122" cy="90" r="4" fill="{INK}"/>',
    f'<circle cx="80" cy="90" r="5" fill="{INK}"/><path d="M112 90h16" {BARE}/>',
)
CUTS = (
    '<path d="M50 92C40 40 70 24 100 24S160 40 150 92C146 70 134 62 122 56C106 68 76 68 64 62C58 70 52 80 50 92Z"/>',
    '<path d="M46 150C30 60 56 22 100 22S170 60 154 150H136C146 110 144 80 128 58C106 72 78 70 66 62C54 84 54 114 64 150Z"/>',
    '<path d="M52 80C50 40 76 26 102 26S152 44 148 80C140 64 124 56 100 56S60 64 52 80Z"/>',
    '<circle cx="100" cy="22" r="17"/><path d="M50 88C44 44 72 30 100 30S156 44 150 88C144 68 126 60 100 60S56 68 50 88Z"/>',
    '<path d="M48 86C26 76 42 46 60 50C58 28 88 20 102 32C118 16 146 34 138 50C164 52 164 82 152 88C146 68 130 60 100 60S56 66 48 86Z"/>',
    '<path d="M50 86C44 40 74 26 100 26S156 40 150 86L140 62L126 74L112 58L98 74L84 58L70 74L60 62Z"/>',
)
ARMS = (
    "M62 196C40 220 38 250 44 280M138 196C160 220 162 250 156 280",
    "M62 196C30 200 18 170 22 142M138 196C160 220 162 250 156 280",
    "M62 196C34 196 22 168 16 140M138 196C166 196 178 168 184 140",
    "M62 200C44 226 56 246 84 240M138 200C156 226 144 246 116 240",
    "M62 196C40 220 38 250 44 280M138 198C166 206 186 196 196 176",
)


def person(rng: Rng) -> str:
    """Someone from head to foot."""
    shirt, trousers, extra = shuffled(rng, ACCENTS)
    skin, hair = one(rng, SKIN), one(rng, HAIR)
    arms = one(rng, ARMS)
    ends = [part.split()[-2:] for part in arms.split("M")[1:]]
    hands = "".join(f'<circle cx="{x.split("C")[-1]}" cy="{y}" r="11" fill="{skin}" {LINE}/>' for x, y in ends)
    dress = rng.random() < 0.35
    lower = (
        f'<path d="M84 300V366M116 300V366" stroke="{skin}" stroke-width="17"/>'
        f'<path d="M76 300V366M92 304V366M108 304V366M124 300V366" {BARE}/>'
        f'<path d="M70 190Q100 178 130 190L152 312Q100 330 48 312Z" fill="{shirt}" {LINE}/>'
        if dress
        else f'<path d="M68 270H132L130 368H106L100 306L94 368H70Z" fill="{trousers}" {LINE}/>'
        f'<path d="M58 196Q60 180 84 178H116Q140 180 142 196L136 284Q100 294 64 284Z" fill="{shirt}" {LINE}/>'
    )
    trim = one(
        rng,
        (
            "",
            f'<path d="M66 226Q100 236 134 226M66 250Q100 260 134 250" fill="none" stroke="{extra}" stroke-width="9"/>',
            f'<path d="M78 178Q100 206 122 178" fill="{extra}" {LINE}/>',
            f'<circle cx="100" cy="228" r="14" fill="{extra}"/>',
        ),
    )
    glasses = (
        f'<circle cx="80" cy="90" r="15" {BARE}/><circle cx="120" cy="90" r="15" {BARE}/><path d="M95 88h10" {BARE}/>'
        if rng.random() < 0.2
        else ""
    )
    brows = f'<path d="M72 72q8 -6 16 -1M112 71q8 -5 16 1" {BARE}/>' if rng.random() < 0.5 else ""
    tilt = between(rng, -7, 7)
    return svg(
        220,
        390,
        '<g transform="translate(10 0)">'
        f'<path d="M66 366H94V380H58Q58 368 66 366ZM106 366H134Q142 368 142 380H106Z" fill="{INK}"/>'
        f'<path d="{arms}" fill="none" stroke="{INK}" stroke-width="25" stroke-linecap="round"/>'
        f'<path d="{arms}" fill="none" stroke="{shirt}" stroke-width="16" stroke-linecap="round"/>{hands}{lower}{trim}'
        f'<path d="M88 140H112V180Q100 190 88 180Z" fill="{skin}" {LINE}/>'
        f'<g transform="rotate({tilt} 100 150)"><circle cx="51" cy="96" r="10" fill="{skin}" {LINE}/><circle cx="149" '
        f'cy="96" r="10" fill="{skin}" {LINE}/><path d="M50 88C50 48 74 34 100 34S150 48 150 88C150 128 128 152 100 152S50 '
        f'128 50 88Z" fill="{skin}" {LINE}/><circle cx="68" cy="112" r="8" fill="#e8766a" opacity=".4"/><circle cx="132" '
        f'cy="112" r="8" fill="#e8766a" opacity=".4"/><path d="M98 96q6 6 0 9" {BARE}/>{one(rng, EYES)}{brows}{glasses}'
        f'{one(rng, MOUTHS)}<g fill="{hair}" {LINE}>{one(rng, CUTS)}</g></g></g>',
        fill=False,
    )


def cat(rng: Rng) -> str:
    """A sitting cat."""
    fur = one(rng, ("#f2b56b", "#5b5660", "#f5efe6", "#c98f5f", "#8f9aa6"))
    collar, patch, _ = shuffled(rng, ACCENTS)
    stripes = f'<path d="M92 60V78M110 56V80M128 60V78" {BARE}/>' if rng.random() < 0.5 else ""
    return svg(
        220,
        300,
        f'<path d="M164 270C214 270 210 200 186 190" fill="none" stroke="{INK}" stroke-width="26" stroke-linecap="round"/>'
        f'<path d="M164 270C214 270 210 200 186 190" fill="none" stroke="{fur}" stroke-width="16" stroke-linecap="round"/>'
        f'<path d="M66 290C46 230 66 160 110 160S174 230 154 290Z" fill="{fur}" {LINE}/>'
        f'<path d="M92 290V240M128 290V240" {BARE}/><path d="M52 80L46 26L88 54M168 80L174 26L132 54" fill="{fur}" {LINE}/>'
        f'<path d="M44 108C44 66 74 46 110 46S176 66 176 108S146 164 110 164S44 150 44 108Z" fill="{fur}" {LINE}/>{stripes}'
        f'<ellipse cx="84" cy="106" rx="8" ry="{one(rng, ("11", "3", "9"))}" fill="{INK}"/><ellipse cx="136" cy="106" rx="8" '
        f'ry="{one(rng, ("11", "9"))}" fill="{INK}"/><path d="M103 122H117L110 130Z" fill="#d9737a" {LINE}/>'
        f'<path d="M110 130Q100 144 90 136M110 130Q120 144 130 136M60 124L26 118M60 132L28 138M160 124L194 118M160 132L192 138" '
        f'{BARE}/><path d="M72 164Q110 182 148 164" fill="none" stroke="{collar}" stroke-width="13"/>'
        f'<circle cx="110" cy="182" r="10" fill="{patch}" {LINE}/>',
        fill=False,
    )


def robot(rng: Rng) -> str:
    """A small robot."""
    body, light, trim = shuffled(rng, ACCENTS)
    shell = mix(body, "#fff", 70)
    face = one(
        rng,
        (
            f'<circle cx="84" cy="98" r="10" fill="{light}"/><circle cx="136" cy="98" r="10" fill="{light}"/>',
            f'<path d="M74 102q10 -14 20 0M126 102q10 -14 20 0" fill="none" stroke="{light}" stroke-width="7" '
            'stroke-linecap="round"/>',
        ),
    )
    return svg(
        220,
        330,
        f'<path d="M110 52V24" {BARE}/><circle cx="110" cy="18" r="11" fill="{trim}" {LINE}/>'
        f'<path d="M58 196C26 206 22 240 34 262M162 196C194 206 198 240 186 262" {BARE}/>'
        f'<circle cx="35" cy="266" r="13" fill="{shell}" {LINE}/><circle cx="185" cy="266" r="13" fill="{shell}" {LINE}/>'
        f'<rect x="78" y="272" width="24" height="42" fill="{shell}" {LINE}/><rect x="118" y="272" width="24" height="42" '
        f'fill="{shell}" {LINE}/><rect x="66" y="310" width="40" height="14" rx="7" fill="{INK}"/><rect x="114" y="310" '
        f'width="40" height="14" rx="7" fill="{INK}"/><rect x="60" y="166" width="100" height="112" rx="20" fill="{shell}" {LINE}/>'
        f'<rect x="40" y="52" width="140" height="106" rx="32" fill="{shell}" {LINE}/><rect x="58" y="70" width="104" '
        f'height="70" rx="20" fill="{INK}"/>{face}<path d="M96 122Q110 132 124 122" fill="none" stroke="{light}" '
        f'stroke-width="6" stroke-linecap="round"/><circle cx="110" cy="218" r="20" fill="{trim}" {LINE}/>'
        f'<path d="M100 218h20M110 208v20" {BARE}/>',
        fill=False,
    )


def actor(rng: Rng) -> str:
    """Mostly people."""
    draw = (person, person, person, cat, robot)[int(rng.integers(5))]
    return draw(rng)


def stage(rng: Rng) -> str:
    """Where a panel plays: a room, a street, the country, the sea or the night."""
    return (_room, _night, hills, sea, skyline, _burst)[int(rng.integers(6))](rng)


def _room(rng: Rng) -> str:
    wall, wood, cloth = shuffled(rng, ACCENTS)
    paint = mix(wall, "var(--surface)", 34)
    left = between(rng, 60, 180)
    window = (
        f'<rect x="{left}" y="60" width="150" height="150" fill="{mix(cloth, "#fff", 30)}" {LINE}/>'
        f'<path d="M{left + 75} 60V210M{left} 135H{left + 150}" {BARE}/>'
        f'<path d="M{left - 16} 52H{left + 30}Q{left + 24} 150 {left - 16} 214ZM{left + 166} 52H{left + 120}Q{left + 126} 150 '
        f'{left + 166} 214Z" fill="{cloth}" {LINE}/>'
    )
    x = between(rng, 380, 440)
    shelf = one(
        rng,
        (
            f'<rect x="{x}" y="70" width="120" height="90" fill="{mix(wood, "#fff", 60)}" {LINE}/><path d="M{x + 8} 152l34 -44l26 '
            f'26l18 -14l30 32" {BARE}/><circle cx="{x + 92}" cy="94" r="9" fill="{cloth}"/>',
            f'<path d="M{x - 10} 170H{x + 140}" {BARE}/>'
            + "".join(
                f'<rect x="{x + 18 * k}" y="{170 - h}" width="16" height="{h}" fill="{c}" {LINE}/>'
                for k, (h, c) in enumerate(zip((60, 74, 52, 68, 80), (wall, wood, cloth, wall, cloth), strict=True))
            ),
            f'<circle cx="{x + 60}" cy="120" r="46" fill="#fff" {LINE}/><path d="M{x + 60} 90V120L{x + 82} 132" {BARE}/>',
        ),
    )
    return svg(
        600,
        400,
        f'<rect width="600" height="400" fill="{paint}"/><rect y="316" width="600" height="84" fill="{mix(wood, "#fff", 70)}"/>'
        f'<path d="M0 316H600" {BARE}/><path d="M120 400L150 316M320 400V316M520 400L490 316" stroke="{INK}" stroke-width="2" '
        f'opacity=".3"/>{window}{shelf}',
    )


def _night(rng: Rng) -> str:
    glow, ground, _ = shuffled(rng, ACCENTS)
    sky = mix(ground, "#10142c", 24)
    stars = "".join(
        f'<circle cx="{between(rng, 0, 600)}" cy="{between(rng, 0, 250)}" r="{between(rng, 1, 3.4)}" fill="#fff"/>'
        for _ in range(46)
    )
    x, y = between(rng, 90, 510), between(rng, 70, 120)
    return svg(
        600,
        400,
        f'<rect width="600" height="400" fill="{sky}"/>{stars}<circle cx="{x}" cy="{y}" r="46" fill="{mix(glow, "#fff", 50)}"/>'
        f'<circle cx="{x + 18}" cy="{y - 12}" r="40" fill="{sky}"/><path d="M0 330Q150 270 300 320T600 300V400H0Z" '
        f'fill="{mix(ground, "#10142c", 52)}"/><path d="M0 360Q200 320 380 352T600 344V400H0Z" fill="{mix(ground, "#10142c", 72)}"/>',
    )


def _burst(rng: Rng) -> str:
    first, second, _ = shuffled(rng, ACCENTS)
    wedges = "".join(
        f'<path d="M300 210L{a} {b}L{c} {d}Z"/>'
        for a, b, c, d in (
            (-20, -20, 90, -20),
            (200, -20, 300, -20),
            (410, -20, 520, -20),
            (620, -10, 620, 90),
            (620, 190, 620, 290),
            (620, 400, 520, 420),
            (410, 420, 300, 420),
            (200, 420, 90, 420),
            (-20, 420, -20, 300),
            (-20, 200, -20, 90),
        )
    )
    dots = "".join(
        f'<circle cx="{24 * k + (12 if r % 2 else 0)}" cy="{400 - 14 * r}" r="{7 - 0.8 * r:.1f}"/>'
        for r in range(8)
        for k in range(26)
    )
    return svg(
        600,
        400,
        f'<rect width="600" height="400" fill="{mix(first, "#fff", 46)}"/><g fill="{mix(first, "#fff", 72)}">{wedges}</g>'
        f'<g fill="{second}" opacity=".45">{dots}</g>',
    )
