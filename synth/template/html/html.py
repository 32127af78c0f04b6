"""Pages as a strategy: interfaces, posters, infographics, comics and prints, filled, drawn and read from the DOM."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.chance import chance
from synth.corpora.corpus import open_corpus
from synth.fonts.book import open_book
from synth.placed import Placed
from synth.sample import Rejected, Sample
from synth.template.html.browser import Browser, BrowserError, Document, Session, browser
from synth.template.html.describe import describe
from synth.template.html.faces import Typefaces, choose
from synth.template.html.filling import fill
from synth.template.html.pages import KINDS, Page, own_pages, user_page
from synth.template.html.palette import Colour, Palette, contrast, palettes, unhexed
from synth.template.html.truth import overlapping, placed, upright
from synth.template.html.writer import Writer
from warehouse.errors import UsageError

#: Raise when the same index would give other bytes.
VERSION = "1"
SMALLEST = 12.0  # pixels of the image: the em of the smallest text
FAINTEST = 2.6  # contrast of a text with what is really behind it
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
            tag = "zh-Hans" if language == "zh" else language
            book.require(tag)
            if tag not in corpus.languages:
                raise UsageError(f"the corpus has no text in {tag}; it has {', '.join(corpus.languages)}")
        started = self._browser()
        for page in self._all():
            for size in page.sizes:
                _scales(page, size, self.longest)
            if page.folder is not None:
                try:
                    started.run(lambda s, page=page: _tried(s, page), seconds=USER_SECONDS, attempts=1)  # type: ignore[misc]
                except BrowserError as error:
                    raise UsageError(f"{page.name}: Chromium cannot draw this page in {USER_SECONDS:.0f} s: {error}") from error

    def fingerprint(self) -> str:
        told = " ".join(f"{page.name}:{page.digest}:{_files(page.folder)}" for page in self._all())
        version = self._browser().run(lambda session: session.version)
        book, corpus = open_book(self.fonts, self.system_fonts), open_corpus(self.corpora)
        return f"pages {VERSION} chromium {version} own {_own()} fonts {book.digest} corpus {corpus.digest} {told} {self!r}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        rng = chance(seed, "template page", index)
        pages = self._all()
        page = pages[int(rng.integers(len(pages)))]
        return self.draw_page(page, rng)

    def draw_page(self, page: Page, rng: np.random.Generator) -> Sample | Rejected:
        """One sample of a page. Raises BrowserError where Chromium fails on it again and again."""
        spoken = [one for one in self.languages if one in page.languages] or list(self.languages)
        language = spoken[int(rng.integers(len(spoken)))]
        other = {"zh": "en", "en": "zh"}[language] if len(self.languages) > 1 and rng.random() < self.mixed else language
        choice = palettes()[: len(palettes()) - (page.kind == "ui")]  # the last is for prints: a screen is not all vermilion
        colours = choice[int(rng.integers(len(choice)))]
        size = page.sizes[int(rng.integers(len(page.sizes)))]
        low, high = _scales(page, size, self.longest)
        scale = round(float(rng.uniform(low, high)), 3)
        variables = _variables(rng, colours)
        corpus = open_corpus(self.corpora)
        writer = Writer(language, other, lambda r, tag, a, b: corpus.pick(r, tag, a, b).text)
        filled = fill(page.root, rng, writer, last=page.folder is not None)
        faces = choose(rng, self.fonts, self.system_fonts, filled.text, language, page.style)
        if faces is None:
            return Rejected("undrawable", f"no font draws all of {filled.text[:80]!r}")
        style = faces.css() + f":root{{{variables}}}" + (_base() if page.folder is None else _forced())
        markup = filled.markup.replace(MARK, f"<style>{style}</style>", 1)
        document = Document(markup, *size, scale, page.folder)
        told, image = self._browser().run(lambda session: _drawn(session, document, faces, page))
        found = _judged(told, image, faces, scale)
        if isinstance(found, Rejected):
            return found
        captions = {
            tag: describe(rng, tag, page.scene[tag], colours.chinese if tag == "zh" else colours.english,
                          faces.title.info.kind, found)
            for tag in ("en", "zh")
        }  # fmt: skip
        facts = {
            "kind": page.kind, "palette": colours.english, "language": language, "other": other, "scale": scale,
            "layout": list(filled.layouts), "fonts": [face.info.name for face in faces.all()],
        }  # fmt: skip
        return Sample(image, found, captions, f"page:{page.name}", facts)

    def _all(self) -> tuple[Page, ...]:
        return tuple(user_page(path) for path in self.pages) if self.pages else own_pages(self.kinds)

    def _browser(self) -> Browser:
        return browser(self.fonts)


def _scales(page: Page, size: tuple[int, int], longest: tuple[int, int]) -> tuple[float, float]:
    """Image pixels to a CSS pixel, the least and the most. Raises UsageError where no scale fits."""
    low, high = max(longest[0] / max(size), SMALLEST / page.smallest), longest[1] / max(size)
    if low > high:
        least = round(max(size) * SMALLEST / page.smallest)
        raise UsageError(f"page {page.name} needs a longer side of {least} pixels for its smallest text; {longest[1]} are allowed")
    return low, high


def _variables(rng: np.random.Generator, colours: Palette) -> str:
    radius = (0, 4, 8, 12, 16, 22)[int(rng.integers(6))]
    round_ = (radius, 999)[int(rng.integers(2))]
    gap = float(rng.uniform(0.85, 1.15))
    angle = int(rng.integers(0, 360))
    return f"{colours.css()};--radius:{radius}px;--round:{round_}px;--gap:{gap:.2f};--angle:{angle}deg"


def _drawn(session: Session, document: Document, faces: Typefaces, page: Page) -> tuple[Mapping[str, Any], NDArray[np.uint8] | None]:
    session.show(document)
    families = [face.family for face in faces.all()]
    told: Mapping[str, Any] = session.evaluate(_probe(), {"families": families, "smallest": page.smallest})
    if "texts" not in told:
        if "absent" in told:
            names = ", ".join(face.info.name for face in faces.all() if face.family in told["absent"])
            raise UsageError(f"Chromium does not find the font {names} by its name: install it where fontconfig looks")
        return told, None
    wanted = {face.face for face in faces.all()}
    if not wanted <= session.trusted:  # what a font draws is known of its file; that Chromium takes this very font is seen
        strange = set(session.fonts()) - wanted
        if strange:
            raise UsageError(f"page {page.name}: Chromium drew with {', '.join(sorted(strange))} in place of {', '.join(sorted(wanted))}")
        session.trusted |= wanted
    return told, session.picture()


def _judged(told: Mapping[str, Any], image: NDArray[np.uint8] | None, faces: Typefaces, scale: float) -> tuple[Placed, ...] | Rejected:
    """The truth of a page, or why it is not to be used."""
    if image is None:
        return Rejected("overflow", ", ".join(told["overflowing"]))
    if told["hidden"]:
        return Rejected("hidden", ", ".join(told["hidden"]))
    by_family = {face.family: face for face in faces.all()}
    texts = tuple(t for t in (placed(text, scale, by_family) for text in told["texts"]) if len(t.boxes))
    if not texts:
        return Rejected("empty", "nothing is written on the page")
    height, width = image.shape[:2]
    for text in texts:
        quads = text.character_quads()
        if quads.min() < 0 or quads[..., 0].max() > width or quads[..., 1].max() > height:
            return Rejected("overflow", f"{text.role} leaves the page")
        if not upright(text):
            return Rejected("vertical", f"{text.role} has characters that lie in vertical lines")
        if text.size < SMALLEST - 0.01:
            return Rejected("small", f"{text.role} is {text.size:.1f} pixels")
        if text.colour and _seen(image, text) < FAINTEST:
            return Rejected("faint", f"{text.role} hardly stands out from its ground")
    if (both := overlapping(texts)) is not None:
        return Rejected("overlap", " on ".join(both))
    return texts


def _seen(image: NDArray[np.uint8], text: Placed) -> float:
    """Contrast of the ink with the middle colour of what is around it."""
    assert text.colour is not None
    quad = text.quad()
    (x0, y0), (x1, y1) = np.maximum(quad.min(axis=0) - 2, 0).astype(int), np.ceil(quad.max(axis=0) + 2).astype(int)
    around = image[y0:y1:2, x0:x1:2].reshape(-1, 3).astype(np.int16)
    ink: Colour = unhexed(text.colour[1:])
    apart = np.abs(around - np.array(ink, dtype=np.int16)).sum(axis=1)
    ground = np.median(around[apart >= np.median(apart)], axis=0)
    return contrast(ink, (int(ground[0]), int(ground[1]), int(ground[2])))


def _tried(session: Session, page: Page) -> None:
    from lxml import html as markup

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
def _probe() -> str:
    return (resources.files("synth.template.html") / "probe.js").read_text(encoding="utf-8")


@cache
def _base() -> str:
    return (resources.files("synth.template.html") / "base.css").read_text(encoding="utf-8")


@cache
def _forced() -> str:
    """What a user's page must bear: our faces in its places, nothing that moves, no transform that hides its matrix."""
    return (resources.files("synth.template.html") / "user.css").read_text(encoding="utf-8")
