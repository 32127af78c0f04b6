"""Compositional rendering: text on a material, the material in a photograph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from synth import captions
from synth.chance import chance
from synth.compositional import checks, direct, fixings
from synth.compositional.compose import lay, outline
from synth.compositional.frame import fill_frame
from synth.compositional.light import Light, measure
from synth.compositional.materials import MATERIALS
from synth.compositional.names import CHINESE
from synth.compositional.noise import Colour, Field, Rgb
from synth.compositional.photos import Album, PhotoError, given_quads, load, open_album
from synth.compositional.places import Seen, look
from synth.compositional.settle import Written, choose_font, choose_text, is_wide, least, set_text
from synth.compositional.site import MOST_STRETCH, Site, choose_site, given_site, position, stretch
from synth.compositional.surface import Ink, Surface
from synth.corpora.corpus import open_corpus
from synth.draw.ink import ink as draw_ink
from synth.fonts.book import open_book
from synth.geometry import Floats, homography
from synth.layout.block import LayoutError, OverflowingError, UndrawableError
from synth.placed import Placed
from synth.sample import Json, Rejected, Sample
from warehouse.errors import UsageError

VERSION = "1"  # of what is drawn: to be raised with every change that changes pixels


@dataclass(frozen=True)
class Compositional:
    """`photos`: folders and files; without any, the material fills the frame, seen a little from the side. `corpus`: files
    and folders of text, none for the built-in phrases. `fonts`: folders beside the system's. `languages`, `materials`:
    shares by name, none for materials to use all alike. `shortest`, `longest`: the picture's longer side in pixels; a
    photograph is never enlarged more than 1.6 times. `most_characters`: of a text. `direct`: share of the pictures on
    whose found place the text is put without a material; `poisson`: of these, the share blended by Poisson's equation."""

    photos: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    languages: tuple[tuple[str, float], ...] = (("zh-Hans", 0.6), ("en", 0.4))
    materials: tuple[tuple[str, float], ...] = ()
    shortest: int = 512
    longest: int = 1328
    most_characters: int = 120
    direct: float = 0.16
    poisson: float = 0.3

    name: ClassVar[str] = "compositional"

    def check(self) -> None:
        """Raises UsageError."""
        unknown = [name for name, _ in self.materials if name not in MATERIALS]
        if unknown:
            raise UsageError(f"there is no material {unknown[0]!r}; there are {', '.join(MATERIALS)}")
        if not self.languages or any(share < 0 for _, share in (*self.languages, *self.materials)):
            raise UsageError("shares of languages and materials must be 0 or more, and one language at least be named")
        if not 256 <= self.shortest <= self.longest <= 4096:
            raise UsageError(f"the longer side must lie within 256 to 4096 pixels, not {self.shortest} to {self.longest}")
        book = open_book(self.fonts, self.system_fonts)
        for language, _ in self.languages:
            book.require(language if is_wide(language) else "und")
        open_corpus(self.corpus)
        if self.photos:
            open_album(self.photos)

    def fingerprint(self) -> str:
        digests = [VERSION, repr(self), open_book(self.fonts, self.system_fonts).digest, open_corpus(self.corpus).digest]
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
        path = album.files[int(rng.integers(len(album.files)))]
        photo, scale = load(path, int(rng.integers(self.shortest, self.longest + 1)))
        shape = photo.shape[:2]
        site = self._site(path, photo, scale, rng)
        if site is None:
            return Rejected("no_place", f"{path.name}: no even part, and nowhere in front to stand")
        light = measure(photo)
        if site.stance == "direct":
            drawn = self._paint(photo, site, light, rng)
        else:
            drawn = self._hang(photo, site, light, rng)
        if isinstance(drawn, Rejected):
            return drawn
        placed, written, surface_name, way, colour = drawn
        failed = checks.judge(photo, placed)
        if failed is not None:
            return failed
        told = self._captions(rng, album, path, placed, written, surface_name, way, colour, site, shape)
        facts: dict[str, Json] = {
            "photo": path.name,
            "stance": site.stance,
            "plane": site.plane,
            "way": way,
            "surface": surface_name,
            "quad": [round(float(v), 1) for v in site.quad.reshape(-1)],
        }
        material = "direct" if site.stance == "direct" else str(facts["surface"])
        return Sample(photo, (placed,), told, material, facts)

    def _site(self, path: Path, photo: Rgb, scale: float, rng: Generator) -> Site | None:
        quads = given_quads(path)
        if quads:
            quad = quads[int(rng.integers(len(quads)))] * scale
            h, w = photo.shape[:2]
            if (quad < -1).any() or (quad > (w + 1, h + 1)).any():
                raise PhotoError(f"{path.name}: a quad that is named for it leaves the picture")
            return given_site(quad, self.direct, rng)
        return choose_site(_seen(path, path.stat().st_mtime_ns), photo.shape[:2], self.direct, rng)

    def _material(self, fitting: tuple[str, ...], rng: Generator) -> str:
        shares = dict(self.materials) or dict.fromkeys(MATERIALS, 1.0)
        names = [n for n in MATERIALS if n in fitting and shares.get(n, 0) > 0] or [n for n in MATERIALS if shares.get(n, 0) > 0]
        weights = np.array([shares[n] for n in names])
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]

    def _language(self, rng: Generator) -> str:
        weights = np.array([share for _, share in self.languages])
        return self.languages[int(rng.choice(len(weights), p=weights / weights.sum()))][0]

    def _write(self, size: tuple[int, int], room: tuple[int, int, int, int], ink: Ink, zoom: float, rng: Generator) -> tuple[Written, Field, Placed]:
        """Chooses and draws a text in the room of a surface of `size` (h, w), whose pixels are `zoom` to one of the
        picture."""
        book, corpus = open_book(self.fonts, self.system_fonts), open_corpus(self.corpus)
        language = self._language(rng)
        x0, y0, x1, y1 = room
        smallest = least(language, ink) * zoom
        across = 1.0 if is_wide(language) else 0.55
        capacity = int((x1 - x0) * (y1 - y0) / (smallest**2 * 1.45 * across) * 0.8)
        text = choose_text(corpus, rng, language, capacity, self.most_characters)
        font = choose_font(book, rng, text, language, ink)
        largest = min((y1 - y0) / 1.5, smallest * float(rng.uniform(1.8, 6.0)), 260.0)
        written = set_text(text, font, book, language, rng, (x1 - x0, y1 - y0), smallest, largest)
        block = written.block
        at = (x0 + (x1 - x0 - block.width) / 2, y0 + (y1 - y0 - block.height) / 2)
        mask, placed = draw_ink(block, size, at)
        return written, mask, placed

    def _hang(
        self, photo: Rgb, site: Site, light: Light, rng: Generator
    ) -> tuple[Placed, Written, str, str, Colour] | Rejected:
        name = self._material(site.materials, rng)
        zoom = 1.5 if max(photo.shape) < 900 else 1.3
        sides = [float(np.linalg.norm(site.quad[i] - site.quad[j])) for i, j in ((0, 1), (3, 2))]
        w = round(max(sides) * zoom)
        h = round(w / site.aspect)
        surface = MATERIALS[name](rng, h, w)
        to_photo = homography(outline(h, w), site.quad)
        if stretch(to_photo, h, w) > MOST_STRETCH:
            return Rejected("stretched", f"letters would be more than {MOST_STRETCH} times as wide or as tall")
        squash = max(1.0, float(np.linalg.norm(site.quad[1] - site.quad[0]) / np.linalg.norm(site.quad[3] - site.quad[0]) / site.aspect))
        ink = surface.inks[int(rng.integers(len(surface.inks)))]
        written, mask, placed = self._write((h, w), surface.room, ink, zoom * min(squash, 1.5), rng)
        rgb = surface.rgb
        em = written.block.setting.size
        ink.put(rgb, mask, em, rng)
        if site.stance == "stands":
            fixings.posts(photo, site.quad, name, light.white.astype(np.float64), rng)
        lay(photo, surface, rgb, to_photo, light, em / zoom, site.stance == "lies", rng)
        if name in ("paper", "cardboard") and site.stance == "hangs":
            level = float(light.white.mean()) / 255
            (fixings.tape if rng.random() < 0.55 else fixings.pins)(photo, to_photo, h, w, level, rng)
        placed = replace(placed.moved(to_photo), colour="#%02x%02x%02x" % ink.colour, role=name)
        return placed, written, surface.kind, ink.way, ink.colour

    def _paint(
        self, photo: Rgb, site: Site, light: Light, rng: Generator
    ) -> tuple[Placed, Written, str, str, Colour] | Rejected:
        colour = direct.paint_for(photo, site.quad, rng)
        if colour is None:
            return Rejected("low_contrast", "no paint shows on this ground")
        w = round(max(float(np.linalg.norm(site.quad[i] - site.quad[j])) for i, j in ((0, 1), (3, 2))) * 1.3)
        h = round(w / site.aspect)
        to_photo = homography(outline(h, w), site.quad)
        if stretch(to_photo, h, w) > MOST_STRETCH:
            return Rejected("stretched", f"letters would be more than {MOST_STRETCH} times as wide or as tall")
        margin = max(4, round(min(h, w) * 0.08))
        plain = Ink("painted", colour, lambda *_: None, smallest=22, heavy=True)
        written, mask, placed = self._write((h, w), (margin, margin, w - margin, h - margin), plain, 1.3, rng)
        direct.paint(photo, mask, to_photo, colour, light, bool(rng.random() < self.poisson), rng)
        name = {"wall": "the wall", "ground": "the ground"}.get(site.plane, "a flat part of the scene")
        placed = replace(placed.moved(to_photo), colour="#%02x%02x%02x" % colour, role="direct")
        return placed, written, name, "painted", colour

    def _alone(self, rng: Generator) -> Sample | Rejected:
        name = self._material(tuple(MATERIALS), rng)
        longer = int(rng.integers(self.shortest, self.longest + 1))
        aspect = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3, 16 / 9)[int(rng.integers(6))]
        shape = (round(longer / max(1.0, aspect)), round(longer * min(1.0, aspect)))
        surface: Surface = MATERIALS[name](rng, *(round(s * 1.12) for s in shape))
        ink = surface.inks[int(rng.integers(len(surface.inks)))]
        h, w = surface.alpha.shape
        x0, y0, x1, y1 = surface.room
        spare = round(min(h, w) * 0.04)
        room = (x0 + spare, y0 + spare, x1 - spare, y1 - spare)
        written, mask, placed = self._write((h, w), room, ink, 1.0, rng)
        ink.put(surface.rgb, mask, written.block.setting.size, rng)
        picture, to_image = fill_frame(surface.rgb, shape, rng)
        placed = replace(placed.moved(to_image), colour="#%02x%02x%02x" % ink.colour, role=name)
        failed = checks.judge(picture, placed)
        if failed is not None:
            return failed
        whole = Site(outline(*shape), w / h, "close", (), "frame")
        told = self._captions(rng, Album(()), Path(), placed, written, surface.kind, ink.way, ink.colour, whole, shape)
        facts: dict[str, Json] = {"stance": "close", "way": ink.way, "surface": surface.kind}
        return Sample(picture, (placed,), told, surface.kind, facts)

    def _captions(
        self, rng: Generator, album: Album, path: Path, placed: Placed, written: Written, surface: str, way: str,
        colour: Colour, site: Site, shape: tuple[int, ...],
    ) -> Mapping[str, str]:  # fmt: skip
        out: dict[str, str] = {}
        scenes = album.captions.get(path, {})
        languages: tuple[captions.Language, ...] = ("en", "zh")
        for language in languages:
            known = scenes.get(language, ())
            scene = known[int(rng.integers(len(known)))] if known else ""
            place = "front" if site.stance == "stands" and rng.random() < 0.6 else position(site.quad, (shape[0], shape[1]))
            out[language] = captions.caption(
                language,
                rng,
                texts=[placed.text],
                surface=surface if language == "en" else CHINESE[surface],
                scene=scene,
                way=way,
                colour=colour,
                letters=written.font.kind,
                bold=written.font.weight >= 600,
                place=place,
                stance=site.stance,
            )
        return out


@lru_cache(maxsize=4096)
def _seen(path: Path, mtime: int) -> Seen:
    """What was found in a photograph, looked for once a process and always at the same size."""
    return look(load(path, 512)[0])
