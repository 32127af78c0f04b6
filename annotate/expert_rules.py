"""Expert rules after the annotator: what was measured overrides what was said.

Each rule is a pure function of an annotation and the facts known beforehand. Those that changed it are named in the
column `corrections`, and the annotator's own words stay in `raw`. A rule without its facts changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher

from annotate.captions.language import count_han, detect
from annotate.facts import Facts, ReadLine
from annotate.schema import ABNORMAL, MAX_TEXT_LINES, Abnormal, Annotation, Box, TextLanguage, TextLine, Thing

Rule = Callable[[Annotation, Facts], Annotation]

#: Confidence from which on OCR is believed before the annotator, and the likeness that makes two lines the same one.
SURE = 0.9
ALIKE = 0.6
#: What confidence is multiplied by for each contradiction.
DOUBT = 0.7
LINE_LIMIT = 300  # characters, see schema.Line


def correct(annotation: Annotation, facts: Facts) -> tuple[Annotation, tuple[str, ...]]:
    """The annotation as the rules leave it, and the names of those that changed it."""
    changed = []
    for name, rule in RULES.items():
        after = rule(annotation, facts)
        if after != annotation:
            changed.append(name)
        annotation = after
    return annotation, tuple(changed)


def box_edges(annotation: Annotation, facts: Facts) -> Annotation:
    """Left is left of right and top above bottom."""
    lines = [
        line.model_copy(update={"box": _upright(line.box)}) if line.box != _upright(line.box) else line
        for line in annotation.text_lines
    ]
    return annotation.model_copy(update={"text_lines": lines})


def ocr_text(annotation: Annotation, facts: Facts) -> Annotation:
    """A line that OCR read with confidence stands as OCR read it: in the place of the annotator's line that is like it,
    else beside the others."""
    sure = [line for line in facts.text or () if line.confidence >= SURE and line.text.strip()]
    lines = list(annotation.text_lines)
    free = list(range(len(lines)))
    for read in sure:
        best = max(free, key=lambda at: _likeness(lines[at], read), default=None)
        if best is not None and _likeness(lines[best], read) >= ALIKE:
            free.remove(best)
            if _bare(read.text) not in _bare(lines[best].text):
                lines[best] = text_line(read)
        elif len(lines) < MAX_TEXT_LINES and not _part_of_some(read, annotation.text_lines):
            lines.append(text_line(read))
    return annotation.model_copy(update={"text_lines": lines})


def code_counts(annotation: Annotation, facts: Facts) -> Annotation:
    """QR and bar codes that were decoded are there, and as many as were decoded, or more where the annotator saw more:
    a damaged code cannot be decoded."""
    objects, abnormal = list(annotation.objects), list(annotation.abnormal)
    codes: tuple[tuple[Abnormal, str, re.Pattern[str], int | None], ...] = (
        ("qr_code", "QR code", _QR, facts.qr_codes),
        ("barcode", "barcode", _BAR, facts.barcodes),
    )
    for flag, name, pattern, count in codes:
        if not count:
            continue
        if flag not in abnormal:
            abnormal.append(flag)
        at = next((n for n, thing in enumerate(objects) if pattern.search(thing.name)), None)
        if at is None:
            if len(objects) < 24:
                objects.append(Thing(name=name, attributes=[], count=count, position="everywhere"))
        elif objects[at].count < count:
            objects[at] = objects[at].model_copy(update={"count": count})
    return annotation.model_copy(update={"objects": objects, "abnormal": abnormal})


def measured_abnormal(annotation: Annotation, facts: Facts) -> Annotation:
    """What was measured as abnormal is told as abnormal."""
    measured: dict[Abnormal, bool | None] = {
        "watermark": facts.watermark,
        "mosaic": facts.mosaic,
        "border": facts.border,
        "pseudo_text": facts.pseudo_text,
    }
    missing = [flag for flag, found in measured.items() if found and flag not in annotation.abnormal]
    return annotation.model_copy(update={"abnormal": [*annotation.abnormal, *missing]})


def abnormal_once(annotation: Annotation, facts: Facts) -> Annotation:
    """Each abnormal element once, in the schema's order."""
    return annotation.model_copy(update={"abnormal": [flag for flag in ABNORMAL if flag in annotation.abnormal]})


def objects_once(annotation: Annotation, facts: Facts) -> Annotation:
    """Objects told twice, by the same name with the same attributes in the same place, are one."""
    objects: list[Thing] = []
    for thing in annotation.objects:
        key = (thing.name.casefold(), sorted(thing.attributes), thing.position)
        twin = next(
            (n for n, o in enumerate(objects) if (o.name.casefold(), sorted(o.attributes), o.position) == key), None
        )
        if twin is None:
            objects.append(thing)
        elif thing.count > objects[twin].count:
            objects[twin] = thing
    return annotation.model_copy(update={"objects": objects})


def doubt(annotation: Annotation, facts: Facts) -> Annotation:
    """Confidence falls by a factor for each contradiction: see `contradictions`."""
    against = len(contradictions(annotation, facts))
    if not against:
        return annotation
    return annotation.model_copy(update={"confidence": round(annotation.confidence * DOUBT**against, 4)})


#: In the order in which they are applied.
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (box_edges, doubt, ocr_text, code_counts, measured_abnormal, abnormal_once, objects_once)
}


def contradictions(annotation: Annotation, facts: Facts) -> list[str]:
    """Where the annotation contradicts what was measured, or itself: the words say what.

    text: it says legible lines where OCR, asked, found none, or none where OCR is sure of two and more.
    codes: it says a QR or bar code where a decoder, asked, found none.
    faces: it says no person, and two or more faces were found.
    count: a caption counts an object otherwise than `objects` does.
    """
    found = []
    if facts.text is not None:
        legible = [line for line in annotation.text_lines if line.legible and len(_bare(line.text)) > 1]
        sure = [line for line in facts.text if line.confidence >= SURE and len(_bare(line.text)) > 1]
        if (legible and not facts.text) or (not annotation.text_lines and len(sure) >= 2):
            found.append("text")
    for flag, count in (("qr_code", facts.qr_codes), ("barcode", facts.barcodes)):
        if flag in annotation.abnormal and count == 0:
            found.append("codes")
    if facts.faces is not None and facts.faces >= 2 and not _tells_people(annotation):
        found.append("faces")
    if any(_counts_otherwise(caption.short, thing) for caption in annotation.captions for thing in annotation.objects):
        found.append("count")
    return found


def text_line(read: ReadLine) -> TextLine:
    """A line of OCR as a line of an annotation."""
    text = read.text.strip()[:LINE_LIMIT]
    return TextLine(text=text, language=language_of(text), box=read.box, legible=read.confidence >= SURE)


def language_of(text: str) -> TextLanguage:
    """The language of a line of text: by its script, as a line is too short for more."""
    if not any(c.isalpha() for c in text):
        return "none"
    if count_han(text) and detect(text) != "other":
        return "zh"
    return "en" if all(c.isascii() for c in text if c.isalpha()) else "other"


_QR = re.compile(r"\bqr\b|二维码|二維碼", re.IGNORECASE)
_BAR = re.compile(r"\bbar ?code|条形码|条码|條碼", re.IGNORECASE)
_PEOPLE = re.compile(
    r"\b(?:people|persons?|m[ae]n|wom[ae]n|boys?|girls?|child(?:ren)?|kids?|bab(?:y|ies)|crowd|couple|portraits?|players?|"
    r"famil(?:y|ies)|faces?|statues?|team|band|group|students?|workers?|dancers?|riders?)\b"
    r"|人|男|女|孩|脸|群众|队|像|学生|演员",
    re.IGNORECASE,
)
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: number for number, word in enumerate(_WORDS, 1)}
_DIGITS_ZH = {"一": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
_MEASURES = "个只条张辆名位朵棵件把台座头匹本杯瓶块扇艘架"


def _counts_otherwise(text: str, thing: Thing) -> bool:
    """Whether the text puts another number right before the object's name. Several entries of one name, a part of a
    name ("three" of "three dogs and a hot dog") and rounded words ("dozens") are beyond it, and pass."""
    name = re.escape(thing.name)
    for word in re.findall(rf"\b({'|'.join(_NUMBERS)}|\d{{1,3}})\s+{name}(?:e?s)?\b", text, re.IGNORECASE):
        if (_NUMBERS.get(word.lower()) or int(word)) != thing.count:
            return True
    for word in re.findall(rf"([{''.join(_DIGITS_ZH)}]|\d{{1,3}})[{_MEASURES}]{name}", text):
        if (_DIGITS_ZH.get(word) or int(word)) != thing.count:
            return True
    return False


def _tells_people(annotation: Annotation) -> bool:
    told = [thing.name for thing in annotation.objects] + [c.long for c in annotation.captions]
    return any(_PEOPLE.search(text) for text in told)


def _upright(box: Box) -> Box:
    left, right = sorted((box.left, box.right))
    top, bottom = sorted((box.top, box.bottom))
    return Box(left=left, top=top, right=right, bottom=bottom)


def _bare(text: str) -> str:
    """What counts when two readings are compared: neither blanks nor the width of a letter."""
    return "".join(text.split()).casefold()


def _likeness(line: TextLine, read: ReadLine) -> float:
    """How like the words are, 0 to 1 (and a little more where equal words stand in the same place). Of a line elsewhere
    more is wanted than of one in the same place, as a page may say nearly the same twice."""
    ours, theirs = _bare(line.text), _bare(read.text)
    if ours == theirs:
        return 1.0 + 0.1 * _overlap(line.box, read.box)
    least = ALIKE if _overlap(line.box, read.box) > 0.1 else 0.8
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= least else 0.0


def _part_of_some(read: ReadLine, lines: list[TextLine]) -> bool:
    """Whether the annotator told it as part of a longer line: what OCR reads in two, a person reads in one."""
    return any(_bare(read.text) in _bare(line.text) for line in lines)


def _overlap(a: Box, b: Box) -> float:
    """Shared area over the smaller one's area."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    if across <= 0 or down <= 0:
        return 0.0
    smaller = min((a.right - a.left) * (a.bottom - a.top), (b.right - b.left) * (b.bottom - b.top))
    return across * down / smaller if smaller else 0.0
