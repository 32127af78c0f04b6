"""Photographs marred on purpose, with the truth about it: mosaic, borders, watermarks."""

from __future__ import annotations

import hashlib
import io
import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Box = tuple[int, int, int, int]


def half(name: str) -> str:
    """'calibrate' or 'hold-out', by the name of the file that a picture was made of."""
    return "hold-out" if hashlib.sha256(name.encode()).digest()[0] & 1 else "calibrate"


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def random_box(image: Image.Image, pick: random.Random, least: float, most: float) -> Box:
    """left, top, right, bottom of a box with sides of `least` to `most` of the picture's shorter side."""
    short = min(image.size)
    width, height = (round(pick.uniform(least, most) * short) for _ in range(2))
    left, top = pick.randint(0, image.width - width), pick.randint(0, image.height - height)
    return left, top, left + width, top + height


# --- mosaic --------------------------------------------------------------------------------------------------------


def pixelated(image: Image.Image, box: Box, block: int) -> Image.Image:
    """The picture with the box (left, top, right, bottom) in squares of `block` pixels."""
    part = image.crop(box)
    small = part.resize((max(1, part.width // block), max(1, part.height // block)), Image.Resampling.BOX)
    back = small.resize((small.width * block, small.height * block), Image.Resampling.NEAREST)
    out = image.copy()
    out.paste(back, box[:2])
    return out


def with_mosaic(image: Image.Image, seed: int) -> Image.Image:
    """A region of 20 to 60 % of the shorter side in squares of 6 to 28 pixels, then JPEG 60 to 95; at times resized."""
    pick = random.Random(seed)
    box = random_box(image, pick, 0.2, 0.6)
    block = pick.randint(6, max(7, min(28, min(box[2] - box[0], box[3] - box[1]) // 6)))
    out = pixelated(image, box, block)
    if pick.random() < 0.3:
        scale = pick.uniform(0.75, 1.3)
        out = out.resize((round(out.width * scale), round(out.height * scale)), Image.Resampling.BICUBIC)
    return as_jpeg(out, pick.randint(60, 95))


# --- borders -------------------------------------------------------------------------------------------------------

BORDERS = ("letterbox", "pillarbox", "frame", "blurred_bars")


def with_border(image: Image.Image, seed: int) -> tuple[Image.Image, str]:
    """The picture with bars, a frame or blurred copies of itself at its sides, as JPEG 60 to 95; and which of them."""
    pick = random.Random(seed)
    kind = BORDERS[seed % len(BORDERS)]
    colour = pick.choice([(0, 0, 0), (255, 255, 255), (24, 24, 24), (236, 232, 220), (180, 30, 40), (20, 60, 120)])
    width, height = image.size
    if kind == "letterbox":
        bar = round(pick.uniform(0.03, 0.25) * height)
        out = Image.new("RGB", (width, height + 2 * bar), colour)
        out.paste(image, (0, bar))
    elif kind == "pillarbox":
        bar = round(pick.uniform(0.03, 0.3) * width)
        out = Image.new("RGB", (width + 2 * bar, height), colour)
        out.paste(image, (bar, 0))
    elif kind == "frame":
        bar = round(pick.uniform(0.012, 0.08) * min(width, height))
        out = Image.new("RGB", (width + 2 * bar, height + 2 * bar), colour)
        out.paste(image, (bar, bar))
        if pick.random() < 0.4:  # a thin line drawn within the frame
            other = (255, 255, 255) if sum(colour) < 380 else (0, 0, 0)
            ImageDraw.Draw(out).rectangle((bar, bar, bar + width - 1, bar + height - 1), outline=other, width=2)
    else:
        bar = round(pick.uniform(0.1, 0.35) * width)
        size = (width + 2 * bar, round(height * (width + 2 * bar) / width))
        whole = image.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(pick.uniform(10, 25)))
        top = (whole.height - height) // 2
        out = whole.crop((0, top, whole.width, top + height))
        out.paste(image, (bar, 0))
    return as_jpeg(out, pick.randint(60, 95)), kind


# --- watermarks ----------------------------------------------------------------------------------------------------

WATERMARKS = ("tiled", "corner", "centre")
TILED_TEXTS = ("SAMPLE", "stockphoto.com", "© Studio North", "PREVIEW ONLY", "@kate.lens", "Do not copy")
CORNER_TEXTS = (
    "www.photoalley.net",
    "© 2021 J. Moreau",
    "@sunny.frames",
    "shutterstock",
    "Photo by L. Brandt",
    "alamy",
)
CENTRE_TEXTS = ("SAMPLE", "Getty Images", "shutterstock", "WATERMARK", "PREVIEW", "dreamstime")


def _label(text: str, size: float, angle: float = 0.0) -> Image.Image:
    """The text as a mask, 0 to 255, cut close, turned by `angle` degrees."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    out = Image.new("L", (math.ceil(right - left) + 4, math.ceil(bottom - top) + 4))
    ImageDraw.Draw(out).text((2 - left, 2 - top), text, font=font, fill=255)
    return out.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else out


def with_watermark(image: Image.Image, seed: int) -> tuple[Image.Image, str]:
    """The picture with a watermark, as JPEG 70 to 95; and its kind. White where the ground is dark, black elsewhere.

    tiled: faint text (opacity 0.15 to 0.45) over all of it, at any of several angles. corner: a line of 3 to 5 % of the
    picture's height in a corner or centred at the bottom, opacity 0.55 to 1. centre: one line across 40 to 80 % of the
    width, opacity 0.25 to 0.55.
    """
    pick = random.Random(seed)
    kind = WATERMARKS[seed % len(WATERMARKS)]
    width, height = image.size
    mask = Image.new("L", image.size)
    if kind == "tiled":
        size = pick.uniform(0.028, 0.055) * max(width, height)
        mark = _label(pick.choice(TILED_TEXTS), size, pick.choice([0, 20, 30, 45, -30]))
        step = round(mark.width * pick.uniform(1.1, 1.6)), round(mark.height + size * pick.uniform(1.0, 3.0))
        shift = pick.choice([0, step[0] // 2])
        for row, y in enumerate(range(-mark.height // 2, height, step[1])):
            for x in range(-mark.width // 2 - (row % 2) * shift, width, step[0]):
                mask.paste(255, (x, y), mark)
        opacity = pick.uniform(0.15, 0.45)
    elif kind == "corner":
        mark = _label(pick.choice(CORNER_TEXTS), pick.uniform(0.03, 0.05) * height + 4)
        margin = round(0.02 * min(width, height)) + 2
        middle = pick.random() < 0.3
        x = (width - mark.width) // 2 if middle else pick.choice([margin, width - mark.width - margin])
        y = height - mark.height - margin if middle else pick.choice([margin, height - mark.height - margin])
        mask.paste(mark, (max(0, x), y))
        opacity = pick.uniform(0.55, 1)
    else:
        text = pick.choice(CENTRE_TEXTS)
        mark = _label(text, 40 * pick.uniform(0.4, 0.8) * width / _label(text, 40).width)
        mask.paste(mark, ((width - mark.width) // 2, round((height - mark.height) * pick.uniform(0.4, 0.6))))
        opacity = pick.uniform(0.25, 0.55)
    ink = np.asarray(mask, np.float64) / 255
    ground = (np.asarray(image.convert("L")) * ink).sum() / ink.sum()
    pixels = np.asarray(image.convert("RGB"), np.float64)
    pixels += (ink * opacity)[..., None] * ((255.0 if ground < 128 else 0.0) - pixels)
    return as_jpeg(Image.fromarray(np.rint(pixels).astype(np.uint8)), pick.randint(70, 95)), kind
