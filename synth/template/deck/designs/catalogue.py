"""What decks the project brings: kinds of document, in which shapes, with which pages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

from synth.template.deck.designs import certificate, invitation, lecture, menu, poster, report, resume, timetable
from synth.template.deck.designs.builder import Page, build
from synth.template.deck.designs.themes import THEMES
from synth.template.deck.source import Source

VARIANTS = 3


class Compose(Protocol):
    """Writes a page; `v`: which of the variants."""

    def __call__(self, page: Page, v: int) -> None: ...


@dataclass(frozen=True)
class Kind:
    """`words`: what a caption calls a page of it, in English and Chinese. `aspects`: the shapes that are natural."""

    name: str
    words: tuple[str, str]
    aspects: tuple[str, ...]
    pages: tuple[tuple[str, Compose], ...]


KINDS = (
    Kind("report", ("a slide of a business report", "一页商务报告幻灯片"), ("16:9", "16:9", "4:3"), report.PAGES),
    Kind("lecture", ("a lecture slide", "一页课堂讲义幻灯片"), ("16:9", "4:3"), lecture.PAGES),
    Kind("poster", ("a poster", "一张海报"), ("portrait", "portrait", "16:9", "4:3"), poster.PAGES),
    Kind("invitation", ("an invitation card", "一张邀请函"), ("4:3", "portrait", "16:9"), invitation.PAGES),
    Kind("menu", ("a restaurant menu", "一张菜单"), ("portrait", "16:9", "4:3"), menu.PAGES),
    Kind("certificate", ("a certificate", "一张证书"), ("4:3", "16:9"), certificate.PAGES),
    Kind("timetable", ("a timetable", "一张时间表"), ("16:9", "4:3", "portrait"), timetable.PAGES),
    Kind("resume", ("a resume", "一份个人简历"), ("portrait",), resume.PAGES),
)


def one_page(kind: int, page: int, aspect: str, theme: int, variant: int) -> Source:
    """A deck with this one page."""
    name, compose = KINDS[kind].pages[page]
    return Source(KINDS[kind].name, build([(name, partial(compose, v=variant))], aspect, THEMES[theme]))


def whole_deck(kind: int, aspect: str, theme: int, variant: int) -> bytes:
    """A .pptx with all pages of a kind."""
    pages = [(name, partial(compose, v=variant)) for name, compose in KINDS[kind].pages]
    return Source(KINDS[kind].name, build(pages, aspect, THEMES[theme])).data
