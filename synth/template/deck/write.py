"""Writing set paragraphs back into a shape's XML: explicit sizes and typefaces, so that any renderer shows the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from synth.fonts.face import FaceKey
from synth.fonts.facts import FontInfo
from synth.template.deck.scene import Frame
from synth.template.deck.setting import Written
from synth.template.deck.xml import EMU_PER_POINT, Element, child, etree, q

_AUTOFIT = ("a:normAutofit", "a:spAutoFit", "a:noAutofit")
_BULLETS = ("a:buFont", "a:buFontTx", "a:buNone", "a:buChar", "a:buAutoNum", "a:buBlip")
#: What may follow the bullet in a pPr, by the schema's order.
_AFTER_BULLET = ("a:tabLst", "a:defRPr", "a:extLst")
_RUN_KEPT = ("a:ln", "a:noFill", "a:solidFill", "a:gradFill", "a:blipFill", "a:pattFill", "a:grpFill", "a:effectLst")


def points_of(pixels: float, scale: float) -> float:
    """A size in points, to hundredths as the format stores it. `scale`: pixels to the EMU."""
    return round(pixels / scale / EMU_PER_POINT, 2)


def write(frame: Frame, patterns: Sequence[Element], written: Sequence[Written], fonts: Mapping[FaceKey, FontInfo],
          scale: float) -> None:  # fmt: skip
    """Replace the paragraphs of a frame. `patterns`: the paragraph that each takes its looks from."""
    body = frame.body
    made = [_paragraph(p, w, fonts, scale) for p, w in zip(patterns, written, strict=True)]
    for old in body.findall(q("a:p")):
        body.remove(old)
    for paragraph in made:
        body.append(paragraph)
    _no_autofit(body)


def _no_autofit(body: Element) -> None:
    settings = child(body, "a:bodyPr")
    if settings is None:
        settings = etree.Element(q("a:bodyPr"))
        body.insert(0, settings)
    for name in _AUTOFIT:
        for old in settings.findall(q(name)):
            settings.remove(old)
    warp = child(settings, "a:prstTxWarp")
    settings.insert(0 if warp is None else 1, etree.Element(q("a:noAutofit")))


def _paragraph(pattern: Element, written: Written, fonts: Mapping[FaceKey, FontInfo], scale: float) -> Element:
    paragraph = etree.Element(q("a:p"))
    old = child(pattern, "a:pPr")
    properties = copy.deepcopy(old) if old is not None else etree.Element(q("a:pPr"))
    paragraph.append(properties)
    _bullet(properties, written, fonts[written.marker_face or written.face])
    run = etree.SubElement(paragraph, q("a:r"))
    run.append(_run_properties(pattern, written, fonts[written.face], scale))
    etree.SubElement(run, q("a:t")).text = written.text
    return paragraph


def _bullet(properties: Element, written: Written, font: FontInfo) -> None:
    for name in _BULLETS:
        for old in properties.findall(q(name)):
            properties.remove(old)
    if not written.marker:
        properties.set("indent", "0")
        new = [etree.Element(q("a:buNone"))]
    elif written.style.bullet == "1.":
        new = [etree.Element(q("a:buFont"), typeface=font.family),
               etree.Element(q("a:buAutoNum"), type="arabicPeriod")]  # fmt: skip
    else:
        new = [etree.Element(q("a:buFont"), typeface=font.family), etree.Element(q("a:buChar"), char=written.marker)]
    at = next((i for i, e in enumerate(properties) if e.tag in {q(n) for n in _AFTER_BULLET}), len(properties))
    for offset, element in enumerate(new):
        properties.insert(at + offset, element)


def _run_properties(pattern: Element, written: Written, font: FontInfo, scale: float) -> Element:
    found = next((child(r, "a:rPr") for r in pattern if r.tag in (q("a:r"), q("a:fld"))), None)
    if found is None:
        found = child(pattern, "a:endParaRPr")
    properties = etree.Element(q("a:rPr"))
    properties.set("lang", "zh-CN" if written.language.startswith("zh") else "en-US")
    properties.set("altLang", "en-US")
    properties.set("sz", str(round(points_of(written.size, scale) * 100)))
    properties.set("b", "1" if font.weight >= 600 else "0")
    properties.set("i", "0")
    properties.set("u", "none")
    properties.set("cap", "none")
    if found is not None:
        if found.get("spc"):
            properties.set("spc", found.get("spc"))
        for kept in found:
            if kept.tag in {q(n) for n in _RUN_KEPT}:
                properties.append(copy.deepcopy(kept))
    for script in ("latin", "ea", "cs"):
        etree.SubElement(properties, q(f"a:{script}"), typeface=font.family)
    return properties
