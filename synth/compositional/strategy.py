"""Compositional rendering: text on a material, the material in a photograph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator

from synth import captions
from synth.chance import chance
from synth.compositional import checks, direct, fixings
from synth.compositional.compose import defocus, lay, outline
from synth.compositional.frame import OUTSIDE, fill_frame
from synth.compositional.light import Light, measure
from synth.compositional.materials import MATERIALS
from synth.compositional.names import CHINESE
from synth.compositional.noise import Rgb
from synth.compositional.photos import Album, PhotoError, given_quads, load, open_album, sized
from synth.compositional.places import FACE_WORK, Box, Seen, look
from synth.compositional.settle import is_wide
from synth.compositional.site import MOST_STRETCH, Site, choose_site, given_site, position, stretch
from synth.compositional.surface import Ink
from synth.compositional.writing import Writer, Writing
from synth.corpora.corpus import open_corpus
from synth.fonts.book import open_book
from synth.geometry import Floats, homography
from synth.layout.block import LayoutError, OverflowingError, UndrawableError
from synth.sample import Json, Rejected, Sample
from warehouse.errors import UsageError

VERSION = "1"  # of what is drawn: to be raised with every change that changes pixels
PHOTOS_TRIED = 3  # photographs that may be looked at for one sample before it is given up


@dataclass(frozen=True)
class Made:
    """What was put into a picture: the writing, what takes it there, what bears it and in which ink."""

    writing: Writing
    to_image: Floats
    surface: str
    ink: Ink


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
    corpus: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    languages: tuple[tuple[str, float], ...] = (("zh-Hans", 0.6), ("en", 0.4))
    materials: tuple[tuple[str, float], ...] = ()
    shortest: int = 512
    longest: int = 1328
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
        if not 256 <= self.shortest <= self.longest <= 4096:
            raise UsageError(
                f"the longer side must lie within 256 to 4096 pixels, not {self.shortest} to {self.longest}"
            )
        book = open_book(self.fonts, self.system_fonts)
        for language, _ in self.languages:
            book.require(language if is_wide(language) else "und")
        open_corpus(self.corpus)
        if self.photos:
            open_album(self.photos)

    def fingerprint(self) -> str:
        digests = [
            VERSION,
            repr(self),
            open_book(self.fonts, self.system_fonts).digest,
            open_corpus(self.corpus).digest,
        ]
        digests.append(open_album(self.photos).digest if self.photos else "")
        return hashlib.blake2b("\0".join(digests).encode(), digest_size=16).hexdigest()

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        rng = chance(seed, self.name, index)
        try:
            return self._in_photo(rng) if self.photos else self._alone(rng)
        except PhotoError as error:
            return Rejected("photo_unusable", str(error))
        except UndrawableError as error:
            return Rejected("undrawable", str(error))
        except OverflowingError as error:
            return Rejected("does_not_fit", str(error))
        except LayoutError as error:
            return Rejected("cannot_be_set", str(error))

    def _in_photo(self, rng: Generator) -> Sample | Rejected:
        album = open_album(self.photos)
        for _ in range(PHOTOS_TRIED):
            path = album.files[int(rng.integers(len(album.files)))]
            h, w, scale = sized(path, int(rng.integers(self.shortest, self.longest + 1)))
            site = self._site(album, path, (h, w), scale, rng)
            if site is not None:
                break
        else:
            return Rejected("no_place", f"{path.name} was the last: no even part, and nowhere in front to stand")
        photo = load(path, (h, w))
        light = measure(photo)
        if light.colours < 3:
            return Rejected("grey_photo", f"{path.name}: black and white, and what is put in it has colours")
        made = self._paint(photo, site, light, rng) if site.stance == "direct" else self._hang(photo, site, light, rng)
        facts: dict[str, Json] = {"photo": path.name, "plane": site.plane}
        return (
            made
            if isinstance(made, Rejected)
            else self._sample(photo, made, site, facts, album.captions.get(path, {}), rng)
        )

    def _site(self, album: Album, path: Path, shape: tuple[int, int], scale: float, rng: Generator) -> Site | None:
        quads = given_quads(path)
        if not quads:
            seen = _seen(path, path.stat().st_mtime_ns, album.objects.get(path, ()))
            return choose_site(seen, shape, self.direct, self.near, rng)
        quad = quads[int(rng.integers(len(quads)))] * scale
        h, w = shape
        if (quad < -1).any() or (quad > (w + 1, h + 1)).any():
            raise PhotoError(f"{path.name}: a quad that is named for it leaves the picture")
        return given_site(quad, self.direct, rng)

    def _material(self, fitting: tuple[str, ...], rng: Generator) -> str:
        shares = dict(self.materials) or dict.fromkeys(MATERIALS, 1.0)
        wanted = [n for n in MATERIALS if shares.get(n, 0) > 0]
        names = [n for n in wanted if n in fitting] or wanted
        weights = np.array([shares[n] for n in names])
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]

    @property
    def _writer(self) -> Writer:
        book, corpus = open_book(self.fonts, self.system_fonts), open_corpus(self.corpus)
        return Writer(book, corpus, self.languages, self.most_characters, self.headed)

    def _hang(self, photo: Rgb, site: Site, light: Light, rng: Generator) -> Made | Rejected:
        name = self._material(site.materials, rng)
        zoom = 1.5 if max(photo.shape) < 900 else 1.3
        h, w, to_photo = _sized(site, zoom)
        squashed = stretch(to_photo, h, w)
        if squashed > MOST_STRETCH:
            return Rejected("stretched", f"letters would be more than {MOST_STRETCH} times as wide or as tall")
        surface = MATERIALS[name](rng, h, w)
        ink = surface.inks[int(rng.integers(len(surface.inks)))]
        writing = self._writer.write((h, w), surface.room, ink, zoom * min(squashed, 1.5), rng)
        ink.put(surface.rgb, writing.mask, writing.em, rng)
        level = float(light.white.mean()) / 255
        if site.stance == "near":
            defocus(photo, max(photo.shape) * float(rng.uniform(0.008, 0.016)))
        fixings.behind(photo, site.quad, site.stance, site.posts, name, level, rng)
        lay(photo, surface, surface.rgb, to_photo, light, writing.em / zoom, site.stance, rng)
        if name in ("paper", "cardboard") and site.stance == "hangs":
            (fixings.tape if rng.random() < 0.55 else fixings.pins)(photo, to_photo, h, w, level, rng)
        return Made(writing, to_photo, surface.kind, ink)

    def _paint(self, photo: Rgb, site: Site, light: Light, rng: Generator) -> Made | Rejected:
        colour = direct.paint_for(photo, site.quad, rng)
        if colour is None:
            return Rejected("low_contrast", "no paint shows on this ground")
        h, w, to_photo = _sized(site, 1.3)
        if stretch(to_photo, h, w) > MOST_STRETCH:
            return Rejected("stretched", f"letters would be more than {MOST_STRETCH} times as wide or as tall")
        margin = max(4, round(min(h, w) * 0.08))
        ink = Ink("painted", colour, direct.no_surface, smallest=22, heavy=True)
        writing = self._writer.write((h, w), (margin, margin, w - margin, h - margin), ink, 1.3, rng)
        direct.paint(photo, writing.mask, to_photo, colour, light, bool(rng.random() < self.poisson), rng)
        return Made(writing, to_photo, {"wall": "the wall", "ground": "the ground"}[site.plane], ink)

    def _alone(self, rng: Generator) -> Sample | Rejected:
        name = self._material(tuple(MATERIALS), rng)
        longer = int(rng.integers(self.shortest, self.longest + 1))
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
        return self._sample(picture, Made(writing, to_image, surface.kind, ink), whole, {}, {}, rng)

    def _sample(
        self,
        picture: Rgb,
        made: Made,
        site: Site,
        facts: dict[str, Json],
        scenes: Mapping[str, tuple[str, ...]],
        rng: Generator,
    ) -> Sample | Rejected:
        ink, font = made.ink, made.writing.written.font
        colour = "#{:02x}{:02x}{:02x}".format(*ink.colour)
        placed = tuple(replace(p.moved(made.to_image), colour=colour) for p in made.writing.placed)
        for text in placed:
            failed = checks.judge(picture, text)
            if failed is not None:
                return failed
        told: dict[str, str] = {}
        languages: tuple[captions.Language, ...] = ("en", "zh")
        for language in languages:
            known = scenes.get(language, ())
            told[language] = captions.caption(
                language,
                rng,
                texts=[text.text for text in placed],
                surface=made.surface if language == "en" else CHINESE[made.surface],
                scene=known[int(rng.integers(len(known)))] if known else "",
                way=ink.way,
                colour=ink.colour,
                letters=font.kind,
                bold=font.weight >= 600,
                place="front"
                if site.plane == "front" and rng.random() < 0.6
                else position(site.quad, picture.shape[:2]),
                stance=site.stance,
                blurred=site.stance == "near",
            )
        facts |= {
            "stance": site.stance,
            "surface": made.surface,
            "way": ink.way,
            "quad": [round(float(v), 1) for v in site.quad.reshape(-1)],
        }
        return Sample(picture, placed, told, made.surface, facts)


def _sized(site: Site, zoom: float) -> tuple[int, int, Floats]:
    """Height and width in pixels of a surface for the site, `zoom` to one of the photograph, and what takes it
    there."""
    w = round(max(float(np.linalg.norm(site.quad[i] - site.quad[j])) for i, j in ((0, 1), (3, 2))) * zoom)
    h = round(w / site.aspect)
    return h, w, homography(outline(h, w), site.quad)


@lru_cache(maxsize=4096)
def _seen(path: Path, mtime: int, keep_off: tuple[Box, ...]) -> Seen:
    """What was found in a photograph, looked for once a process and always at the same size."""
    h, w, _ = sized(path, FACE_WORK)
    return look(load(path, (h, w)), keep_off)
