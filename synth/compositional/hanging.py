"""A board of some material for a place in a photograph, and how it is put up there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from synth.compositional import fixings
from synth.compositional.compose import defocus, lay, outline
from synth.compositional.light import Light
from synth.compositional.materials import MATERIALS
from synth.compositional.noise import Rgb
from synth.compositional.site import MOST_STRETCH, Site, stretch
from synth.compositional.surface import Surface
from synth.geometry import Floats, homography
from synth.sample import Rejected


@dataclass(frozen=True)
class Board:
    """`to_photo` takes the surface's pixels to the photograph's. `zoom`: of the surface's pixels to one of the
    photograph; `widest`: the same where perspective presses letters together."""

    name: str
    surface: Surface
    to_photo: Floats
    zoom: float
    widest: float


def make_board(name: str, site: Site, shape: tuple[int, ...], rng: Generator) -> Board | Rejected:
    """A board of the material `name` for a site in a photograph of this shape."""
    zoom = 1.5 if max(shape) < 900 else 1.3
    h, w, to_photo = sized_for(site, zoom)
    squashed = stretch(to_photo, h, w)
    if squashed > MOST_STRETCH:
        return Rejected("stretched", f"letters would be more than {MOST_STRETCH} times as wide or as tall")
    return Board(name, MATERIALS[name](rng, h, w), to_photo, zoom, zoom * min(squashed, 1.5))


def hang(photo: Rgb, board: Board, rgb: Rgb, em: float, site: Site, light: Light, rng: Generator) -> None:
    """Put the board, written on as `rgb` (h, w, 3), up in the photograph, in place. `em`: of the smallest writing."""
    h, w = rgb.shape[:2]
    level = float(light.white.mean()) / 255
    if site.stance == "near":
        defocus(photo, max(photo.shape) * float(rng.uniform(0.008, 0.016)))
    fixings.behind(photo, site.quad, site.stance, site.posts, board.name, level, rng)
    lay(photo, board.surface, rgb, board.to_photo, light, em / board.zoom, site.stance, rng)
    if board.name in ("paper", "cardboard") and site.stance == "hangs":
        (fixings.tape if rng.random() < 0.55 else fixings.pins)(photo, board.to_photo, h, w, level, rng)


def sized_for(site: Site, zoom: float) -> tuple[int, int, Floats]:
    """Height and width in pixels of a surface for the site, `zoom` to one of the photograph, and what takes it
    there."""
    w = round(max(float(np.linalg.norm(site.quad[i] - site.quad[j])) for i, j in ((0, 1), (3, 2))) * zoom)
    h = round(w / site.aspect)
    return h, w, homography(outline(h, w), site.quad)
