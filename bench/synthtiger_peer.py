"""The peer of bench/synth_compositional.py, run by an interpreter of its own that has synthtiger 1.2.1.

    python bench/synthtiger_peer.py PHOTOS FONT COUNT

SynthTIGER's own components put together after SynthDoG, amounts after its configuration though not copied from it: a
photograph, blurred, as ground; a sheet half as high and wide or all of it, filled to a half or more with letters that
are layers of their own, a thirtieth to a tenth of the sheet in size; elastic distortion, noise and perspective of all
of them; shadow, contrast, brightness and blur over the whole; a JPEG. Quadrilaterals are those of the layers. Pictures
have 512 to 1328 pixels on the longer side, as ours. Prints megapixels a second of processor time last.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from synthtiger import components, layers

WORDS = [
    *("It", "is", "a", "truth", "universally", "acknowledged", "that", "a", "single", "man", "in", "possession"),
    *("of", "a", "good", "fortune", "must", "be", "in", "want", "of", "a", "wife"),
]


def document(size: tuple[int, int], font: str) -> tuple[layers.Layer, list[layers.Layer]]:
    """A sheet and its letters, laid out in lines."""
    sheet = layers.RectLayer(size, (245, 243, 236, 255))
    em = max(14, int(max(size) * np.random.uniform(0.0334, 0.1)))
    bottom = size[1] * np.random.uniform(0.5, 1.0) - em
    letters: list[layers.Layer] = []
    left, top = em, em // 2
    while top < bottom:
        word = WORDS[np.random.randint(len(WORDS))]
        if left + len(word) * em * 0.6 > size[0] - em:
            left, top = em, top + em * 1.3
            continue
        for letter in word:
            layer = layers.TextLayer(letter, font, em, color=(30, 30, 34, 255))
            layer.topleft = sheet.topleft + np.array([left, top])
            letters.append(layer)
            left += layer.width
        left += em * 0.3
    return sheet, letters


def draw(photo: Path, font: str) -> tuple[int, bytes, list[np.ndarray]]:
    image = Image.open(photo).convert("RGB")
    scale = min(np.random.randint(512, 1329) / max(image.size), 1.6)
    ground = layers.Layer(np.asarray(image.resize([round(s * scale) for s in image.size], Image.BILINEAR)))
    components.GaussianBlur(sigma=(0, 10)).apply([ground])
    share = 1.0 if np.random.rand() < 0.5 else np.random.uniform(0.5, 0.9)
    sheet, letters = document((int(ground.width * share), int(ground.height * share)), font)
    group = layers.Group([*letters, sheet])
    group.center = ground.center
    sheet_and_letters = group.merge()
    components.ElasticDistortion(alpha=(0, 1), sigma=(0, 0.5)).apply([sheet_and_letters])
    components.AdditiveGaussianNoise(scale=(0, 8), per_channel=0).apply([sheet_and_letters])
    components.Perspective(percents=((0.8, 1),) * 4).apply([sheet_and_letters, *letters])
    whole = layers.Group([sheet_and_letters, ground]).merge()
    for effect in (
        components.Shadow(intensity=(0, 160), amount=(0, 1), smoothing=(0.5, 1), bidirectional=0),
        components.Contrast(alpha=(1, 1.5)),
        components.Brightness(beta=(-48, 0)),
        components.GaussianBlur(sigma=(0, 1.5)),
    ):
        effect.apply([whole])
    pixels = np.clip(whole.output(bbox=ground.bbox)[..., :3], 0, 255).astype(np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", quality=92, subsampling=0)
    return pixels.shape[0] * pixels.shape[1], held.getvalue(), [letter.quad for letter in letters]


def main() -> None:
    photos = sorted(p for p in Path(sys.argv[1]).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    font, count = sys.argv[2], int(sys.argv[3])
    np.random.seed(7)
    cv2.setNumThreads(1)
    draw(photos[0], font)
    start, done = time.process_time(), 0
    for _ in range(count):
        pixels, _, quads = draw(photos[np.random.randint(len(photos))], font)
        assert quads
        done += pixels
    print(done / 1e6 / (time.process_time() - start))


if __name__ == "__main__":
    main()
