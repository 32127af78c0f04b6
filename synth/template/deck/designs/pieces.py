"""Pieces of a slide's XML: fills, borders, how paragraphs look, and paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape


def solid(colour: str) -> str:
    return f"<a:solidFill>{tone(colour)}</a:solidFill>"


def gradient(colours: tuple[str, str], angle: float) -> str:
    stops = "".join(f'<a:gs pos="{i * 100000}">{tone(c)}</a:gs>' for i, c in enumerate(colours))
    line = f'<a:lin ang="{round(angle * 60000)}" scaled="0"/>'
    return f'<a:gradFill rotWithShape="1"><a:gsLst>{stops}</a:gsLst>{line}</a:gradFill>'


def tone(colour: str) -> str:
    """`accent1`, `accent1:40` (40 % of its luminance, the rest white), `tx1@20` (20 % opaque)."""
    name, _, opaque = colour.partition("@")
    name, _, share = name.partition(":")
    changes = f'<a:lumMod val="{int(share) * 1000}"/><a:lumOff val="{(100 - int(share)) * 1000}"/>' if share else ""
    changes += f'<a:alpha val="{int(opaque) * 1000}"/>' if opaque else ""
    return f'<a:schemeClr val="{name}">{changes}</a:schemeClr>'


def edge(name: str, colour: str) -> str:
    return f'<a:{name} w="9525">{solid(colour) if colour else "<a:noFill/>"}</a:{name}>'


def level(
    size: float, colour: str, align: str, bold: bool, bullet: str, spacing: float, after: float, spc: float
) -> str:
    margin = round(size * 1.1 * 12700) if bullet and bullet != "1." else round(size * 1.6 * 12700) if bullet else 0
    sign = '<a:buAutoNum type="arabicPeriod"/>' if bullet == "1." else f'<a:buChar char="{bullet}"/>'
    marks = f"<a:buClr>{tone('accent1')}</a:buClr>{sign}" if bullet else "<a:buNone/>"
    tracking = f' spc="{round(spc * 100)}"' if spc else ""
    return (
        f'<a:lvl1pPr marL="{margin}" indent="{-margin}" algn="{align}">'
        f'<a:lnSpc><a:spcPct val="{round(spacing * 1000)}"/></a:lnSpc><a:spcBef><a:spcPts val="0"/></a:spcBef>'
        f'<a:spcAft><a:spcPts val="{round(after * 100)}"/></a:spcAft>'
        f'{marks}<a:defRPr sz="{round(size * 100)}" b="{int(bold)}"{tracking}>{solid(colour)}'
        f'<a:latin typeface="+mn-lt"/><a:ea typeface="+mn-ea"/></a:defRPr></a:lvl1pPr>'
    )


def body_settings(anchor: str, inset: tuple[float, float, float, float], vertical: bool) -> str:
    left, top, right, bottom = (round(v * 12700) for v in inset)
    direction = ' vert="eaVert"' if vertical else ""
    return (
        f'<a:bodyPr wrap="square" lIns="{left}" tIns="{top}" rIns="{right}" bIns="{bottom}"'
        f' anchor="{anchor}"{direction}>'
        "<a:noAutofit/></a:bodyPr>"
    )


def paragraphs(words: str | Sequence[str]) -> str:
    lines = [words] if isinstance(words, str) else words
    return "".join(f'<a:p><a:r><a:rPr lang="en-US"/><a:t>{escape(line)}</a:t></a:r></a:p>' for line in lines)
