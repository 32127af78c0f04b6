"""Pages as a strategy: interfaces, posters, infographics, comics and prints, filled, drawn and read from the DOM."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from synth.chance import chance
from synth.corpora.corpus import open_corpus
from synth.fonts.book import open_book
from synth.sample import Json, Rejected, Sample
from synth.template.html.browser import BrowserError, Document, Session, browser
from synth.template.html.describe import describe
from synth.template.html.drawing import Composed, drawn
from synth.template.html.faces import choose
from synth.template.html.filling import fill
from synth.template.html.judging import SMALLEST, judged
from synth.template.html.pages import KINDS, Page, own_pages, user_pages
from synth.template.html.palette import Palette, palettes
from synth.template.html.writer import Writer
from warehouse.errors import UsageError

#: Raise when the same index would give other bytes.
VERSION = "1"
MARK = '<style id="glyphmill"></style>'
USER_SECONDS = 20.0  # for a user's page to be drawn once


@dataclass(frozen=True)
class Html:
    """`pages`: a user's HTML files or folders; where some are named, no others are drawn. `kinds`: of our own pages.
    `languages`: of the texts, `zh` and `en`; `mixed`: share of pages in which some places take the other language.
    `longest`: the least and the most of the longer side in pixels."""

    pages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    languages: tuple[str, ...] = ("zh", "en")
    mixed: float = 0.3
    corpora: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    longest: tuple[int, int] = (512, 1664)

    @property
    def name(self) -> str:
        return "template"

    def check(self) -> None:
        """Raises UsageError, MissingDependency. A user's pages are each drawn once, in bounded time."""
        if not self.languages or set(self.languages) - {"zh", "en"}:
            raise UsageError(f"pages are written in zh and en, not in {', '.join(self.languages) or 'no language'}")
        if not 0 <= self.mixed <= 1:
            raise UsageError(f"mixed is a share from 0 to 1, not {self.mixed}")
        if not 256 <= self.longest[0] <= self.longest[1] <= 4096:
            raise UsageError(f"the longer side must be from 256 to 4096 pixels, least first; got {self.longest}")
        book, corpus = open_book(self.fonts, self.system_fonts), open_corpus(self.corpora)
        for language in self.languages:
            tag = _tag(language)
            book.require(tag)
            if tag not in corpus.languages:
                raise UsageError(f"the corpus has no text in {tag}; it has {', '.join(corpus.languages)}")
        started = browser(self.fonts)
        for page in self._all():
            if page.folder is not None:
                try:
                    started.run(lambda s, page=page: _tried(s, page), seconds=USER_SECONDS, attempts=1)  # type: ignore[misc]
                except BrowserError as error:
                    raise UsageError(
                        f"{page.name}: Chromium cannot draw this page in {USER_SECONDS:.0f} s: {error}"
                    ) from error

    def fingerprint(self) -> str:
        told = " ".join(f"{page.name}:{page.digest}:{_files(page.folder)}" for page in self._all())
        version = browser(self.fonts).run(lambda session: session.version)
        book, corpus = open_book(self.fonts, self.system_fonts), open_corpus(self.corpora)
        drawn_by = f"chromium {version} own {_own()} fonts {book.digest} corpus {corpus.digest}"
        settings = replace(self, pages=(), corpora=(), fonts=())  # what lies in the files counts, not where they lie
        return f"pages {VERSION} {drawn_by} {told} {settings!r}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        rng = chance(seed, "template page", index)
        pages = self._all()
        page = pages[int(rng.integers(len(pages)))]
        return self.draw_page(page, rng)

    def draw_page(self, page: Page, rng: np.random.Generator) -> Sample | Rejected:
        """One sample of a page. Raises BrowserError where Chromium fails on it again and again."""
        made = self.compose(page, rng)
        if isinstance(made, Rejected):
            return made
        told, image = browser(self.fonts).run(lambda session: drawn(session, made))
        found = judged(told, image, made.faces, made.document.scale)
        if isinstance(found, Rejected):
            return found
        assert image is not None
        colours, letters = made.palette, made.faces.title.info.kind
        captions = {
            "en": describe(rng, "en", page.scene["en"], colours.english, letters, found),
            "zh": describe(rng, "zh", page.scene["zh"], colours.chinese, letters, found),
        }
        return Sample(image, found, captions, f"page:{page.name}", made.facts)

    def compose(self, page: Page, rng: np.random.Generator) -> Composed | Rejected:
        """The page with texts, colours and faces chosen, ready to be drawn."""
        spoken = [one for one in self.languages if one in page.languages] or list(self.languages)
        language = spoken[int(rng.integers(len(spoken)))]
        mixed = len(self.languages) > 1 and rng.random() < self.mixed
        other = {"zh": "en", "en": "zh"}[language] if mixed else language
        choice = palettes()[: -1 if page.kind == "ui" else None]  # a whole screen is not vermilion
        colours = choice[int(rng.integers(len(choice)))]
        size = page.sizes[int(rng.integers(len(page.sizes)))]
        low, high = _scales(page, size, self.longest)
        # Coprime to ten: a whole number of CSS pixels never ends on half a pixel, which floats round either way.
        scale = round(min(round(float(rng.uniform(low, high)), 3), high - 0.001) + 0.0007, 4)
        variables = _variables(rng, colours)
        corpus = open_corpus(self.corpora)
        writer = Writer(language, other, lambda r, tag, a, b: corpus.pick(r, _tag(tag), a, b).text)
        filled = fill(page.root, rng, writer, last=page.folder is not None)
        faces = choose(rng, self.fonts, self.system_fonts, filled.text, language, page.style)
        if faces is None:
            return Rejected("undrawable", f"no font draws all of {filled.text[:80]!r}")
        style = faces.css() + f":root{{{variables}}}" + _css("base.css" if page.folder is None else "user.css")
        markup = filled.markup.replace(MARK, f"<style>{style}</style>", 1)
        facts: dict[str, Json] = {
            "kind": page.kind, "palette": colours.english, "language": language, "other": other, "scale": scale,
            "layout": list(filled.layouts), "fonts": [face.info.name for face in faces.all()],
        }  # fmt: skip
        return Composed(page, Document(markup, *size, scale, page.folder), faces, colours, facts)

    def _all(self) -> tuple[Page, ...]:
        """The pages in use, each with those of its sizes that the settings allow. Raises UsageError where none is."""
        pages = tuple(page for path in self.pages for page in user_pages(path)) if self.pages else own_pages(self.kinds)
        return _fitting(pages, self.longest)


@cache
def _fitting(pages: tuple[Page, ...], longest: tuple[int, int]) -> tuple[Page, ...]:
    fitting = []
    for page in pages:
        sizes = tuple(size for size in page.sizes if (ends := _scales(page, size, longest))[0] <= ends[1])
        if sizes:
            fitting.append(replace(page, sizes=sizes))
        if page.folder is not None and not sizes:
            fitting.clear()
            break
    if not fitting:
        least = min(round(max(size) * SMALLEST / page.smallest) for size in page.sizes)
        raise UsageError(
            f"page {page.name} needs a longer side of {least} pixels for its smallest text; {longest[1]} are allowed"
        )
    return tuple(fitting)


def _scales(page: Page, size: tuple[int, int], longest: tuple[int, int]) -> tuple[float, float]:
    """Image pixels to a CSS pixel: the least and the most, which is less where no scale fits."""
    return max(longest[0] / max(size), SMALLEST / page.smallest), longest[1] / max(size)


def _variables(rng: np.random.Generator, colours: Palette) -> str:
    radius = (0, 4, 8, 12, 16, 22)[int(rng.integers(6))]
    round_ = (radius, 999)[int(rng.integers(2))]
    gap = float(rng.uniform(0.85, 1.15))
    angle = int(rng.integers(0, 360))
    return f"{colours.css()};--radius:{radius}px;--round:{round_}px;--gap:{gap:.2f};--angle:{angle}deg"


def _tried(session: Session, page: Page) -> None:
    from lxml import html as markup  # type: ignore[import-untyped]

    document = Document(markup.tostring(page.root, encoding="unicode"), *page.sizes[0], 1.0, page.folder)
    session.show(document)
    session.evaluate("() => document.body.scrollHeight")
    session.picture()


def _files(folder: str | None) -> str:
    """Digest of a user's files: pictures and styles decide bytes too."""
    if folder is None:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(f for f in Path(folder).rglob("*") if f.is_file()):
        digest.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
        digest.update(hashlib.blake2b(file.read_bytes(), digest_size=16).digest())
    return digest.hexdigest()


@cache
def _own() -> str:
    """Digest of everything of ours that decides a page's bytes."""
    digest = hashlib.blake2b(digest_size=16)
    folder = Path(str(resources.files("synth.template.html")))
    for file in sorted(f for f in folder.rglob("*") if f.suffix in (".py", ".js", ".css", ".toml")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def _css(name: str) -> str:
    return (resources.files("synth.template.html") / name).read_text(encoding="utf-8")


def _tag(language: str) -> str:
    return "zh-Hans" if language == "zh" else language
