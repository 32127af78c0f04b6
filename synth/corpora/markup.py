"""Paragraphs of HTML, XHTML and Markdown, without their marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from synth.corpora.plain import unwrapped
from synth.corpora.source import Document, words

_INLINE = words(
    "a abbr b bdi bdo cite code data dfn em font i kbd mark q rb ruby s samp small span strong sub sup time u var wbr"
)
_UNREAD = words("script style head template noscript svg math nav footer rt rp textarea select button")
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.S | re.M)
_FRONT = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.S)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_NOTE = re.compile(r"\[\^[^\]]+\]:?")
_STRESS = re.compile(r"(\*\*|__|\*|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)|~~|`+)")
_LEAD = re.compile(r"^(?:#{1,6}\s+|>\s?|[-*+]\s+(?:\[[ xX]\]\s+)?|\d+[.)]\s+)+")
_OWN_LINE = re.compile(r"^(?:#{1,6}\s|[-*+]\s|\d+[.)]\s)")
_RULE = re.compile(r"^(?:[-*_=]\s*){3,}$|^\s*\|")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self.language: str | None = None
        self._held: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.language = self.language or told.get("lang") or told.get("xml:lang")
        if tag in _UNREAD:
            self._unread += 1
        if tag not in _INLINE:
            self.end_paragraph()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _INLINE:
            self.end_paragraph()

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNREAD:
            self._unread = max(0, self._unread - 1)
        if tag not in _INLINE:
            self.end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self._held.append(data)

    def end_paragraph(self) -> None:
        text = " ".join("".join(self._held).split())
        if text:
            self.paragraphs.append(text)
        self._held = []


def html_documents(text: str, name: str) -> Iterator[Document]:
    """One document a file; each block of it is a paragraph. Scripts, heads and navigation are not read."""
    page = _Page()
    page.feed(text)
    page.close()
    page.end_paragraph()
    yield Document(tuple(page.paragraphs), page.language)


def markdown_documents(text: str, name: str) -> Iterator[Document]:
    """One document a file: headings, paragraphs and items of lists. Code, tables and pictures are left out."""
    text = _COMMENT.sub("", _FENCE.sub("", _FRONT.sub("", text)))
    paragraphs: list[str] = []
    block: list[str] = []

    def end() -> None:
        if block:
            paragraphs.extend(unwrapped(block) if len(block) > 1 else block)
            block.clear()

    for line in text.split("\n"):
        if not line.strip() or _RULE.match(line):
            end()
            continue
        if line.startswith("    ") and not block:
            continue  # code by indentation
        if _OWN_LINE.match(line.strip()):
            end()
        bare = _unmarked(line.strip())
        if bare:
            block.append(bare)
        if line.startswith("#"):
            end()
    end()
    yield Document(tuple(paragraphs))


def _unmarked(line: str) -> str:
    line = _NOTE.sub("", _LINK.sub(r"\1", _IMAGE.sub("", _LEAD.sub("", line))))
    return _STRESS.sub("", line).strip()
