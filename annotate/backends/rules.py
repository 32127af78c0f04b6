"""An annotation without any model: what was read, measured and delivered, put into the form of one.

It says nothing that is not known. Objects and relations it cannot know; its captions are the delivered ones, or a plain
sentence of what was measured, and its confidence is low: any other annotator comes before it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from annotate.backends.base import Answer, Meter, Request, Status
from annotate.captions.language import detect
from annotate.captions.rules import invalid
from annotate.expert_rules import code_counts, language_of, measured_abnormal, text_line
from annotate.facts import Facts, KnownCaption
from annotate.schema import MAX_TEXT_LINES, Annotation, Caption, CaptionLanguage, ImageType

VERSION = "1"
#: Of an annotation whose caption is a delivered one, and of one that had to be composed.
DELIVERED, COMPOSED = 0.4, 0.2
SHORT, LONG = 300, 2500


class RulesBackend:
    """Answers from the facts of each request, at no cost."""

    name = "rules"
    model = "rules"
    batch = 64
    askers = 1
    needs_image = False
    settings = f"rules {VERSION}"

    async def answer(self, requests: Sequence[Request], meter: Meter) -> list[Answer]:
        return [_answer(request) for request in requests]

    async def close(self) -> None:
        """Nothing is held open."""


def _answer(request: Request) -> Answer:
    started = time.monotonic()
    text = describe(request.facts, request.languages).model_dump_json()
    return Answer(Status.SUCCESS, text, sends=0, seconds=time.monotonic() - started)


def describe(facts: Facts, languages: Sequence[str]) -> Annotation:
    """The annotation that the facts make, with a caption in each of `languages`. Its category is left empty: that is
    the taxonomy's to work out."""
    captions, delivered = [], True
    for language in ("en", "zh"):
        if language in languages:
            found = _delivered(facts, language)
            delivered = delivered and found is not None
            captions.append(found or _composed(facts, language))
    plain = Annotation(
        captions=captions,
        objects=[],
        scene="unknown",
        style="unknown",
        image_type=_image_type(facts),
        relations=[],
        text_lines=[text_line(line) for line in facts.text or () if line.text.strip()][:MAX_TEXT_LINES],
        abnormal=[],
        category=[],
        confidence=DELIVERED if delivered else COMPOSED,
    )
    return measured_abnormal(code_counts(plain, facts), facts)


def _delivered(facts: Facts, language: CaptionLanguage) -> Caption | None:
    """The longest usable caption in that language, with its first sentence as the short one."""
    usable = [c for c in facts.captions if c.kind in ("raw", "synthetic") and _speaks(c, language)]
    usable = [c for c in usable if invalid(c.text, c.lang) is None]
    if not usable:
        return None
    best = max(usable, key=lambda c: (len(c.text), c.text)).text.strip()
    first = best.split("。" if language == "zh" else ". ")[0].strip()
    return Caption(language=language, short=(first or best)[:SHORT], long=best[:LONG])


def _speaks(caption: KnownCaption, language: str) -> bool:
    told = caption.lang.split("-")[0].lower()
    return told == language or (told in ("", "und") and detect(caption.text) == language)


def _composed(facts: Facts, language: CaptionLanguage) -> Caption:
    """A plain sentence: what kind of picture, what is written in it, codes and faces."""
    lines = [line.text.strip() for line in facts.text or () if line.text.strip() and language_of(line.text) != "none"]
    told = []
    if language == "en":
        start = "a picture with text" if lines else "a picture"
        if facts.faces:
            told.append(f"{facts.faces} face{'s' if facts.faces > 1 else ''}")
        if facts.qr_codes:
            told.append(f"{facts.qr_codes} QR code{'s' if facts.qr_codes > 1 else ''}")
        if facts.barcodes:
            told.append(f"{facts.barcodes} barcode{'s' if facts.barcodes > 1 else ''}")
        short = start + (f", {', '.join(told)}" if told else "")
        long = short + (", reading " + ", ".join(f'"{line}"' for line in lines) if lines else "")
    else:
        start = "一张带有文字的图片" if lines else "一张图片"
        if facts.faces:
            told.append(f"{facts.faces}张人脸")
        if facts.qr_codes:
            told.append(f"{facts.qr_codes}个二维码")
        if facts.barcodes:
            told.append(f"{facts.barcodes}个条形码")
        short = start + (f"，含{'、'.join(told)}" if told else "")
        long = short + ("，文字为" + "、".join(f"“{line}”" for line in lines) if lines else "")
    return Caption(language=language, short=short[:SHORT], long=long[:LONG])


def _image_type(facts: Facts) -> ImageType:
    """A page where text covers a good part of the picture; otherwise nobody looked."""
    covered = sum(
        (line.box.right - line.box.left) * (line.box.bottom - line.box.top) / 1e6 for line in facts.text or ()
    )
    return "document" if len(facts.text or ()) >= 10 and covered > 0.2 else "other"
