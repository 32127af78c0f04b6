"""The pages to fill: our own, by kind and name, and those of a user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from lxml import etree, html  # type: ignore[import-untyped]

from synth.template.html.faces import PAIRS
from warehouse.errors import UsageError

KINDS = ("ui", "poster", "infographic", "comic", "print")
LARGEST = 8 << 20  # bytes of a user's page
#: What stands in a user's place that names no text, by its role.
DEFAULTS = {
    "title": "title", "headline": "title", "subtitle": "subtitle", "heading": "heading", "name": "name",
    "place": "place", "date": "date", "price": "price", "dish": "dish", "slogan": "slogan", "sign": "sign",
    "button": "button", "sentence": "sentence", "label": "heading", "body": "passage 20 60", "caption": "subtitle",
    "item": "heading", "number": "count", "link": "button",
}  # fmt: skip
_UNSAFE = ("script", "iframe", "object", "embed", "base", "frame", "frameset", "noscript", "audio", "video", "canvas")


@dataclass(frozen=True, eq=False)
class Page:
    """A page as written. `sizes`: width and height in CSS pixels; `smallest`: of its texts, in CSS pixels; `style`: of
    its typefaces; `scene`: what it is, by language; `folder`: where a user's files lie."""

    name: str
    kind: str
    root: html.HtmlElement
    sizes: tuple[tuple[int, int], ...]
    smallest: float
    style: str
    scene: dict[str, str]
    languages: tuple[str, ...]
    digest: str
    folder: str | None = None


@cache
def own_pages(kinds: tuple[str, ...] = KINDS) -> tuple[Page, ...]:
    """Our own pages of these kinds, in the order of their names. Raises UsageError for an unknown kind."""
    found = []
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"there are no pages of kind {kind!r}; kinds are {', '.join(KINDS)}")
        folder = resources.files("synth.template.html") / "pages" / kind
        for file in sorted((f for f in folder.iterdir() if f.name.endswith(".html")), key=lambda f: f.name):
            found.append(_page(f"{kind}/{file.name.removesuffix('.html')}", kind, file.read_bytes(), None))
    return tuple(found)


def user_pages(path: str) -> tuple[Page, ...]:
    """A user's page, or every HTML file of a folder that has no index.html. Raises UsageError."""
    folder = Path(path)
    if not folder.is_dir() or (folder / "index.html").is_file():
        return (user_page(path),)
    files = sorted(file for file in folder.iterdir() if file.suffix in (".html", ".htm"))
    if not files:
        raise UsageError(f"{path}: no HTML file lies in this folder")
    return tuple(user_page(str(file)) for file in files)


@cache
def user_page(path: str) -> Page:
    """A user's HTML file, or folder with an index.html. Raises UsageError where it is none, is too large, cannot be
    decoded, or has no places for text."""
    file = Path(path)
    file = file / "index.html" if file.is_dir() else file
    if not file.is_file():
        raise UsageError(f"{path}: no such page; name an HTML file, or a folder with an index.html")
    if file.stat().st_size > LARGEST:
        raise UsageError(f"{path}: a page of {file.stat().st_size >> 20} MB; at most {LARGEST >> 20} MB are read")
    name = file.parent.name if file.name == "index.html" else file.stem
    page = _page(f"user/{name}", "user", file.read_bytes(), str(file.parent))
    slots = page.root.xpath("//*[@data-role]")
    if not slots:
        raise UsageError(f"{path}: no element has a data-role: nothing says where texts go")
    for slot in slots:
        role = slot.get("data-role")
        if slot.xpath(".//*[@data-role]"):
            raise UsageError(f"{path}: the place {role!r} holds another place; places cannot be nested")
        if slot.get("data-text") is None:
            if role not in DEFAULTS:
                known = ", ".join(DEFAULTS)
                raise UsageError(f"{path}: data-role={role!r} has no data-text and is no known role ({known})")
            slot.set("data-text", DEFAULTS[role])
    return page


def _page(name: str, kind: str, data: bytes, folder: str | None) -> Page:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: a page must be UTF-8; byte {error.start} is not") from error
    if not text.strip():
        raise UsageError(f"{name}: an empty page")
    root = html.document_fromstring(text, parser=html.HTMLParser(huge_tree=True, remove_comments=True))
    if root.find("head") is None:
        root.insert(0, html.Element("head"))
    if folder is not None:
        _disarm(root)
    told = {m.get("name", ""): m.get("content", "") for m in root.xpath("//meta[@name]")}
    try:
        sizes = tuple((int(w), int(h)) for w, h in (s.split("x") for s in told.get("sizes", "1280x800").split()))
        smallest = float(told.get("smallest", "12"))
    except ValueError as error:
        raise UsageError(f"{name}: meta sizes wants WIDTHxHEIGHT in pixels, smallest a number ({error})") from error
    if not sizes or not all(64 <= v <= 4096 for size in sizes for v in size):
        raise UsageError(f"{name}: meta sizes must be from 64 to 4096 pixels")
    style = told.get("type", "any")
    if style not in PAIRS:
        raise UsageError(f"{name}: meta type {style!r} is none of {', '.join(PAIRS)}")
    scene = {"en": told.get("scene-en", "a page"), "zh": told.get("scene-zh", "一个页面")}
    languages = tuple(told.get("languages", "zh en").split())
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return Page(name, kind, root, sizes, smallest, style, scene, languages, digest, folder)


def _disarm(root: html.HtmlElement) -> None:
    """Without scripts, frames, handlers and redirections. The browser runs no scripts either way."""
    etree.strip_elements(root, *_UNSAFE, with_tail=False)
    for meta in root.xpath("//meta[@http-equiv]"):
        meta.getparent().remove(meta)
    for element in root.iter():
        for name in [n for n in element.attrib if n.lower().startswith("on")]:
            del element.attrib[name]
