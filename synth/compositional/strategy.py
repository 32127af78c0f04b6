"""Compositional rendering: text on a material, the material in a photograph."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from synth.chance import chance
from synth.compositional import direct
from synth.compositional.compose import outline
from synth.compositional.finding import Found, find
from synth.compositional.frame import OUTSIDE, fill_frame
from synth.compositional.hanging import hang, make_board, sized_for
from synth.compositional.materials import MATERIALS
from synth.compositional.photos import PhotoError, open_album
from synth.compositional.settle import NoTextError, is_wide
from synth.compositional.site import MOST_STRETCH, Site, stretch
from synth.compositional.surface import Ink
from synth.compositional.telling import Made, tell
from synth.compositional.writing import Writer
from synth.corpora.corpus import open_corpus
from synth.fonts.book import open_book
from synth.layout.block import LayoutError, OverflowingError, UndrawableError
from synth.sample import Json, Rejected, Sample
from warehouse.errors import UsageError

VERSION = "1"  # of what is drawn: to be raised with every change that changes pixels


@dataclass(frozen=True)
class Compositional:
    """`photos`: folders and files; without any, the material fills the frame, seen a little from the side. `corpus`:
    files and folders of text, none for the built-in phrases. `fonts`: folders beside the system's. `languages`,
    `materials`: shares by name, none for materials to use all alike. `shortest`, `longest`: the picture's longer side
    in pixels; a photograph is never enlarged more than 1.6 times. `most_characters`: of a text. `headed`: share of
    texts with a heading above. `direct`: share of the found places on which the text is put without a material;
    `poisson`: of these, the share blended by Poisson's equation; `near`: of photographs without a place, the share that
    becomes, out of focus, the ground behind a board."""

    photos: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    languages: tuple[tuple[str, float], ...] = (("zh-Hans", 0.6), ("en", 0.4))
    materials: tuple[tuple[str, float], ...] = ()
    longest: tuple[int, int] = (512, 1328)
    most_characters: int = 120
    headed: float = 0.3
    direct: float = 0.25
    poisson: float = 0.3
    near: float = 0.25

    @property
    def name(self) -> str:
        return "compositional"

    def check(self) -> None:
        """Raises UsageError."""
        unknown = [name for name, _ in self.materials if name not in MATERIALS]
        if unknown:
            raise UsageError(f"there is no material {unknown[0]!r}; there are {', '.join(MATERIALS)}")
        for shares in (self.languages, self.materials or (("", 1.0),)):
            if any(share < 0 for _, share in shares) or not sum(share for _, share in shares):
                raise UsageError("shares of languages and of materials must be 0 or more, and not all 0")
        if not 256 <= self.longest[0] <= self.longest[1] <= 4096:
            raise UsageError(f"the longer side must lie within 256 to 4096 pixels, least first; got {self.longest}")
        book = open_book(self.fonts, self.system_fonts)
        for language, _ in self.languages:
            book.require(language if is_wide(language) else "und")
        held = open_corpus(self.corpora).languages
        for language, share in self.languages:
            if share and not any(name == language or name.startswith(f"{language}-") for name in held):
                raise UsageError(f"the corpus has no text in {language}: it has {', '.join(held) or 'none at all'}")
        if self.photos:
            open_album(self.photos)

    def fingerprint(self) -> str:
        digests = [
            VERSION,
            # what lies in the files counts, not where they lie
            repr(replace(self, corpora=(), fonts=(), photos=())),
            open_book(self.fonts, self.system_fonts).digest,
            open_corpus(self.corpora).digest,
        ]
        digests.append(open_album(self.photos).digest if self.photos else "")
        return hashlib.blake2b("\0".join(digests).encode(), digest_size=16).hexdigest()

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        rng = chance(seed, self.name, index)
        try:
            return self._in_photo(rng) if self.photos else self._alone(rng)
        except PhotoError as error:
            return Rejected("photo unusable", str(error))
        except NoTextError as error:
            return Rejected("no text", str(error))
        except UndrawableError as error:
            return Rejected("undrawable", str(error))
        except OverflowingError as error:
            return Rejected("overflow", str(error))
        except LayoutError as error:
            return Rejected("cannot be set", str(error))

    def _in_photo(self, rng: Generator) -> Sample | Rejected:
        album = open_album(self.photos)
        found = find(album, self.longest, self.direct, self.near, rng)
        if isinstance(found, Rejected):
            return found
        made = self._paint(found, rng) if found.site.stance == "direct" else self._hang(found, rng)
        if isinstance(made, Rejected):
            return made
        facts: dict[str, Json] = {"photo": found.path.name, "plane": found.site.plane}
        return tell(found.photo, made, found.site, facts, album.captions.get(found.path, {}), rng)

    def _material(self, fitting: tuple[str, ...], rng: Generator) -> str:
        shares = dict(self.materials) or dict.fromkeys(MATERIALS, 1.0)
        wanted = [n for n in MATERIALS if shares.get(n, 0) > 0]
        names = [n for n in wanted if n in fitting] or wanted
        weights = np.array([shares[n] for n in names])
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]

    @property
    def _writer(self) -> Writer:
        book, corpus = open_book(self.fonts, self.system_fonts), open_corpus(self.corpora)
        return Writer(book, corpus, self.languages, self.most_characters, self.headed)

    def _hang(self, found: Found, rng: Generator) -> Made | Rejected:
        board = make_board(self._material(found.site.materials, rng), found.site, found.photo.shape, rng)
        if isinstance(board, Rejected):
            return board
        surface = board.surface
        ink = surface.inks[int(rng.integers(len(surface.inks)))]
        writing = self._writer.write(surface.alpha.shape, surface.room, ink, board.widest, rng)
        ink.put(surface.rgb, writing.mask, writing.em, rng)
        hang(found.photo, board, surface.rgb, writing.em, found.site, found.light, rng)
        return Made(writing, board.to_photo, surface.kind, ink)

    def _paint(self, found: Found, rng: Generator) -> Made | Rejected:
        photo, site = found.photo, found.site
        colour = direct.paint_for(photo, site.quad, rng)
        if colour is None:
            return Rejected("low contrast", "no paint shows on this ground")
        h, w, to_photo = sized_for(site, 1.3)
        if stretch(to_photo, h, w) > MOST_STRETCH:
            return Rejected("stretched", f"letters would be more than {MOST_STRETCH} times as wide or as tall")
        margin = max(4, round(min(h, w) * 0.08))
        ink = Ink("painted", colour, direct.no_surface, smallest=22, heavy=True)
        writing = self._writer.write((h, w), (margin, margin, w - margin, h - margin), ink, 1.3, rng)
        direct.paint(photo, writing.mask, to_photo, colour, found.light, bool(rng.random() < self.poisson), rng)
        return Made(writing, to_photo, {"wall": "the wall", "ground": "the ground"}[site.plane], ink)

    def _alone(self, rng: Generator) -> Sample | Rejected:
        name = self._material(tuple(MATERIALS), rng)
        longer = int(rng.integers(self.longest[0], self.longest[1] + 1))
        aspect = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3, 16 / 9)[int(rng.integers(6))]
        shape = (round(longer / max(1.0, aspect)), round(longer * min(1.0, aspect)))
        surface = MATERIALS[name](rng, *(round(s + 2 * OUTSIDE * min(shape)) for s in shape))
        ink = surface.inks[int(rng.integers(len(surface.inks)))]
        h, w = surface.alpha.shape
        x0, y0, x1, y1 = surface.room
        spare = round(min(h, w) * 0.07)
        writing = self._writer.write((h, w), (x0 + spare, y0 + spare, x1 - spare, y1 - spare), ink, 1.0, rng)
        ink.put(surface.rgb, writing.mask, writing.em, rng)
        picture, to_image = fill_frame(surface.rgb, shape, rng)
        whole = Site(outline(*shape), w / h, "close", (), "frame")
        return tell(picture, Made(writing, to_image, surface.kind, ink), whole, {}, {}, rng)
