"""A page's markup with its places filled: parts repeated or left out, drawings, pictograms and texts put in.

Attributes that a page may use, ours and a user's alike:
`data-role="title"` a place for text; `data-text="NAME"` what stands there (see Writer.text); `data-lang="en|zh|other"`;
`data-repeat="3-5"` the element so many times; `data-maybe="0.5"` it is there with that chance; `data-variant="a b"` one
of these classes; `data-art` a drawing; `data-icon` one of these pictograms; either may be `item`: what the word beside
it names; `data-same="NAME"` the same drawing wherever that name stands; `data-var="name low high"` a CSS variable;
`data-value="20 90"` the value of a part; `data-shares` the parts inside that are marked `data-share` make up a hundred.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from lxml import etree, html  # type: ignore[import-untyped]

from synth.template.html.art import DRAWINGS
from synth.template.html.art.icons import STROKES, icon
from synth.template.html.art.things import THINGS, product
from synth.template.html.generated import Item
from synth.template.html.writer import Writer
from warehouse.errors import UsageError

Rng = np.random.Generator


@dataclass(frozen=True)
class Filled:
    """The markup of a filled page, all of its text (what fonts must draw), and the layouts that were chosen."""

    markup: str
    text: str
    layouts: tuple[str, ...]


def fill(page: html.HtmlElement, rng: Rng, writer: Writer, last: bool) -> Filled:
    """An empty <style> is put into the head, as its first child or its `last`. Raises UsageError for an attribute that
    asks for what there is not."""
    root = copy.deepcopy(page)
    layouts: list[str] = []
    _grow(root, rng, layouts)
    _share(root, rng)
    said: list[str] = []
    _write(root, rng, writer, Item(start=int(rng.integers(1000))), said)
    root.set("lang", writer.tag(writer.language))
    place = root.find("head")
    place.insert(len(place) if last else 0, html.Element("style", id="glyphmill"))
    return Filled("<!doctype html>" + html.tostring(root, encoding="unicode"), "".join(said), tuple(layouts))


def _grow(element: html.HtmlElement, rng: Rng, layouts: list[str]) -> None:
    """Leaves out, chooses layouts and repeats, from the outside in."""
    for child in list(element):
        if not isinstance(child.tag, str):
            continue
        maybe = child.attrib.pop("data-maybe", None)
        if maybe is not None and rng.random() >= _numbers(child, maybe, 1)[0]:
            child.drop_tree()
            continue
        told = child.attrib.pop("data-repeat", None)
        copies = [child]
        if told is not None:
            low, high = _numbers(child, told.replace("-", " "), 2) if "-" in told else 2 * _numbers(child, told, 1)
            count = int(rng.integers(int(low), int(high) + 1))
            copies += [copy.deepcopy(child) for _ in range(count - 1)]
            for number, one in enumerate(copies):
                one.set("data-item", f"{number} {count}")
                one.set("style", f"{one.get('style', '')};--i:{number};--n:{count}".lstrip(";"))
                if number:
                    one.tail = None
                    copies[number - 1].addnext(one)
        for one in copies:
            variant = one.attrib.pop("data-variant", None)
            if variant is not None:
                chosen = variant.split()[int(rng.integers(len(variant.split())))]
                one.set("class", f"{one.get('class', '')} {chosen}".strip())
                if told is None and len(chosen) > 1:
                    layouts.append(chosen)
            _grow(one, rng, layouts)


def _share(root: html.HtmlElement, rng: Rng) -> None:
    for whole in root.xpath(".//*[@data-shares]"):
        parts = whole.xpath(".//*[@data-share]")
        weights = np.sort(rng.uniform(0.6, 2.2, len(parts)))[::-1]
        shares = np.floor(100 * weights / weights.sum()).astype(int)
        shares[0] += 100 - shares.sum()
        ends = np.cumsum(shares)
        for part, share in zip(parts, shares.tolist(), strict=True):
            part.set("data-value", f"{share} {share}")
        marks = ";".join(f"--s{n}:{end}%" for n, end in enumerate(ends.tolist(), 1))
        whole.set("style", f"{whole.get('style', '')};{marks}".lstrip(";"))


def _write(element: html.HtmlElement, rng: Rng, writer: Writer, item: Item, said: list[str]) -> None:
    """Fills one element and what it holds; `item`: the repeated part that it stands in."""
    number = element.attrib.pop("data-item", None)
    if number is None and element.tag != "html":
        _write_inside(element, rng, writer, item, said)
        return
    outer = writer.take_mark()
    place, count = map(int, (number or "0 1").split())
    _write_inside(element, rng, writer, replace(item, number=place, count=count), said)
    _mark(element, rng, writer.take_mark(outer))  # a drawing may stand before the word that it belongs to


def _write_inside(element: html.HtmlElement, rng: Rng, writer: Writer, item: Item, said: list[str]) -> None:
    value = element.attrib.pop("data-value", None)
    if value is not None:
        low, high = _numbers(element, value, 2)
        item = replace(item, value=int(rng.integers(int(low), int(high) + 1)))
        element.set("style", f"{element.get('style', '')};--v:{item.value}".lstrip(";"))
    variable = element.attrib.pop("data-var", None)
    if variable is not None:
        name, *ends = variable.split()
        low, high = _numbers(element, " ".join(ends), 2)
        element.set("style", f"{element.get('style', '')};--{name}:{rng.uniform(low, high):.2f}".lstrip(";"))
    language = element.attrib.pop("data-lang", None)
    if language is not None:
        element.set("lang", writer.tag(writer.resolve(language)))
    told = element.get("data-text")
    if told is not None and element.get("data-role") is not None:
        text = writer.text(told, rng, language, item, element.get("data-case"))
        for child in list(element):
            element.remove(child)
        element.text = text
        said.append(text)
        return
    if element.get("data-role") is not None:
        said.append(element.text_content())
    drawn = _drawn(element, rng, writer)
    if drawn is not None:
        element.append(html.fragment_fromstring(drawn))
        return
    for child in list(element):
        if isinstance(child.tag, str):
            _write(child, rng, writer, item, said)


def _mark(part: html.HtmlElement, rng: Rng, mark: str | None) -> None:
    """Draws what the part's words name; what they do not name is left to chance."""
    for waiting in part.xpath(".//*[@data-icon='item'] | .//*[@data-art='item']"):
        if waiting.attrib.pop("data-icon", None):
            name = mark if mark in STROKES else list(STROKES)[int(rng.integers(len(STROKES)))]
            waiting.append(html.fragment_fromstring(_pictogram(name)))
        else:
            waiting.attrib.pop("data-art")
            waiting.append(html.fragment_fromstring(product(rng, mark if mark in THINGS else None)))


def _drawn(element: html.HtmlElement, rng: Rng, writer: Writer) -> str | None:
    same = element.get("data-same")
    if same is not None and same in writer.drawings:
        return writer.drawings[same]
    drawn = _drawn_anew(element, rng)
    if same is not None and drawn is not None:
        writer.drawings[same] = drawn
    return drawn


def _drawn_anew(element: html.HtmlElement, rng: Rng) -> str | None:
    art, pictogram = element.get("data-art"), element.get("data-icon")
    if art is not None and art != "item":
        if art not in DRAWINGS:
            raise UsageError(f"data-art={art!r}: there is no such drawing; there are {', '.join(DRAWINGS)}")
        return DRAWINGS[art](rng)
    if pictogram is not None and pictogram != "item":
        names = pictogram.split()
        return _pictogram(names[int(rng.integers(len(names)))])
    return None


def _pictogram(name: str) -> str:
    if name not in STROKES:
        raise UsageError(f"data-icon={name!r}: there is no such pictogram; there are {', '.join(STROKES)}")
    return icon(name)


def _numbers(element: html.HtmlElement, told: str, count: int) -> list[float]:
    try:
        numbers = [float(v) for v in told.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        shown = etree.tostring(element, encoding="unicode", with_tail=False)[:80]
        raise UsageError(f"a page's {shown}: wants {count} number(s), not {told!r}")
    return numbers
