"""A photograph with a place in it, found by chance among many."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from numpy.random import Generator

from synth.compositional.light import Light, measure
from synth.compositional.noise import Rgb
from synth.compositional.photos import Album, PhotoError, given_quads, load, sized
from synth.compositional.places import FACE_WORK, Box, Seen, look
from synth.compositional.site import Site, choose_site, given_site
from synth.sample import Rejected

PHOTOS_TRIED = 3  # photographs that may be looked at for one sample before it is given up


@dataclass(frozen=True)
class Found:
    """A photograph (h, w, 3), where in it writing goes, and its light."""

    path: Path
    photo: Rgb
    site: Site
    light: Light


def find(album: Album, longer: tuple[int, int], direct: float, near: float, rng: Generator) -> Found | Rejected:
    """`longer`: least and most of the longer side in pixels. `direct`, `near`: see Compositional. Raises PhotoError."""
    for _ in range(PHOTOS_TRIED):
        path = album.files[int(rng.integers(len(album.files)))]
        h, w, scale = sized(path, int(rng.integers(longer[0], longer[1] + 1)))
        site = _site(album, path, (h, w), scale, direct, near, rng)
        if site is not None:
            break
    else:
        return Rejected("no place", f"{path.name} was the last: no even part, and nowhere in front to stand")
    photo = load(path, (h, w))
    light = measure(photo)
    if light.colours < 3:
        return Rejected("grey photo", f"{path.name}: black and white, and what is put in it has colours")
    return Found(path, photo, site, light)


def _site(
    album: Album, path: Path, shape: tuple[int, int], scale: float, direct: float, near: float, rng: Generator
) -> Site | None:
    quads = given_quads(path)
    if not quads:
        seen = _seen(path, path.stat().st_mtime_ns, album.objects.get(path, ()))
        return choose_site(seen, shape, direct, near, rng)
    quad = quads[int(rng.integers(len(quads)))] * scale
    h, w = shape
    if (quad < -1).any() or (quad > (w + 1, h + 1)).any():
        raise PhotoError(f"{path.name}: a quad that is named for it leaves the picture")
    return given_site(quad, direct, rng)


@lru_cache(maxsize=4096)
def _seen(path: Path, mtime: int, keep_off: tuple[Box, ...]) -> Seen:
    """What was found in a photograph, looked for once a process and always at the same size."""
    h, w, _ = sized(path, FACE_WORK)
    return look(load(path, (h, w)), keep_off)
