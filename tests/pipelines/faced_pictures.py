"""Photographs whose faces are known: labels of our own for the captioned photographs, and faces put into others.

`face_labels.json` holds, by file name, boxes x, y, width, height in pixels. `frontal`: upright, both eyes seen, 19
pixels wide or more; these count for recall. `other`: from the side, looking down, small, blurred, crowds; finding these
is neither right nor wrong. A find anywhere else is wrong. Labelled by eye, from the union of four cascades' loosest
finds and what they left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Box = tuple[float, ...]
LABELS = Path(__file__).with_name("face_labels.json")
#: Width, height and place of the face in scikit-image's picture of an astronaut.
ASTRONAUT = (177.0, 66.0, 95.0, 110.0)


@dataclass(frozen=True)
class Labelled:
    """A picture, its frontal faces, and the places that do not count."""

    name: str
    image: Image.Image
    frontal: list[Box]
    other: list[Box]


@dataclass
class Count:
    """Faces found, faces there, and finds where there is none."""

    found: int = 0
    there: int = 0
    wrong: int = 0

    def add(self, picture: Labelled, finds: Sequence[Box]) -> None:
        hit = {i for find in finds for i, face in enumerate(picture.frontal) if overlap(find, face) > 0.3}
        self.found, self.there = self.found + len(hit), self.there + len(picture.frontal)
        self.wrong += sum(
            not any(overlap(find, face) > 0.3 for face in picture.frontal)
            and not any(overlap(find, face) > 0.3 or within(find, face) > 0.5 for face in picture.other)
            for find in finds
        )

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.wrong)

    @property
    def recall(self) -> float:
        return self.found / max(1, self.there)


def captioned(photos: Path) -> Iterator[Labelled]:
    """The captioned photographs (`photos_captioned/images`) with our labels."""
    for name, boxes in sorted(json.loads(LABELS.read_text(encoding="utf-8")).items()):
        image = Image.open(photos / name).convert("RGB")
        yield Labelled(name, image, [tuple(b) for b in boxes["frontal"]], [tuple(b) for b in boxes["other"]])


def composites(photos: Path, count: int) -> Iterator[Labelled]:
    """Photographs without anybody, each with two faces of scikit-image's LFW subset (25x25) put in, 50 to 120 px."""
    import skimage

    faces = np.load(Path(skimage.__file__).parent / "data" / "lfw_subset.npy")[:100]
    empty = [p for p in captioned(photos) if not p.frontal and not p.other]
    for i in range(count):
        pick = random.Random(i)
        ground = empty[i % len(empty)]
        image, boxes = ground.image.copy(), []
        for k in range(2):
            face = Image.fromarray((faces[(2 * i + k) % len(faces)] * 255).astype(np.uint8))
            side = pick.randint(50, 120)
            left = pick.randint(0, image.width // 2 - side) + k * (image.width // 2)
            top = pick.randint(0, image.height - side)
            image.paste(face.resize((side, side), Image.Resampling.BICUBIC).convert("RGB"), (left, top))
            boxes.append((float(left), float(top), float(side), float(side)))
        yield Labelled(f"{ground.name} {i}", image, boxes, [])


def astronaut() -> Labelled:
    import skimage

    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    return Labelled("astronaut", Image.open(path).convert("RGB"), [ASTRONAUT], [])


def hidden(picture: Labelled, how: str, least: float = 36) -> tuple[Image.Image, int]:
    """The picture with its frontal faces of at least `least` pixels made unrecognisable; and how many these are.

    `how`: blurred (an oval, sigma a seventh of the face), lightly blurred (a twentieth), or pixelated: the head in
    squares of a seventh of the face, at least 6 pixels.
    """
    image = picture.image.copy()
    faces = [face for face in picture.frontal if face[2] >= least]
    for x, y, width, height in faces:
        box = (round(x - 0.1 * width), round(y - 0.15 * height), round(x + 1.1 * width), round(y + 1.2 * height))
        part = image.crop(box)
        if how != "pixelated":
            veil = Image.new("L", part.size)
            ImageDraw.Draw(veil).ellipse((0, 0, *part.size), fill=255)
            veil = veil.filter(ImageFilter.GaussianBlur(width / 20))
            blurred = part.filter(ImageFilter.GaussianBlur(width / (7 if how == "blurred" else 20)))
            image.paste(blurred, box[:2], veil)
        else:
            block = max(6, round(width / 7))
            small = part.resize((max(1, part.width // block), max(1, part.height // block)), Image.Resampling.BOX)
            image.paste(small.resize((small.width * block, small.height * block), Image.Resampling.NEAREST), box[:2])
    return image, len(faces)


def overlap(a: Box, b: Box) -> float:
    """Shared area of two boxes over that of both together."""
    shared = _shared(a, b)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def within(a: Box, b: Box) -> float:
    """Share of box `a` that lies in `b`."""
    return _shared(a, b) / (a[2] * a[3])


def _shared(a: Box, b: Box) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
