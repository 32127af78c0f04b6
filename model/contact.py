"""Prompts and pictures from files, and the pictures of a run back into files, with a contact sheet."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from model.curriculum.sizes import size
from model.generate import Settings, Wish
from model.text.prompt import Pixels, as_pixels
from warehouse.errors import UsageError
from warehouse.files import replacing, told

SHEET = "sheet.png"
NATIVE = 1328  # the side of Qwen-Image's sizes
GAP = 2  # white pixels between the pictures of a sheet
_PIXELS = re.compile(r"(\d+)x(\d+)")
_SHAPE = re.compile(r"([\d.]+:[\d.]+)(?:@(\d+))?")


def size_of(asked: str, multiple: int) -> tuple[int, int]:
    """(height, width) in pixels of "1328x1328" (width first), "16:9" at Qwen-Image's sizes, or "16:9@640".

    A shape is rounded to `multiple`; a size in pixels is taken as it is. Raises UsageError for anything else.
    """
    pixels, shape = _PIXELS.fullmatch(asked), _SHAPE.fullmatch(asked)
    if pixels:
        return int(pixels[2]), int(pixels[1])
    if shape:
        try:
            return size(int(shape[2] or NATIVE), shape[1], multiple)
        except ValueError as error:
            raise UsageError(f"--size {asked}: {error}") from error
    raise UsageError(f"--size {asked} is no size: write WIDTHxHEIGHT as 1328x1328, or a shape as 16:9 or 16:9@640")


def read_prompts(path: Path) -> list[str]:
    """One prompt a line, blank lines left out; of a .jsonl file the "prompt" of each line. Raises UsageError."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--prompts {path} cannot be read as UTF-8 text: {error}") from error
    if path.suffix == ".jsonl":
        lines = [_prompt(line, number, path) for number, line in enumerate(lines, start=1)]
    if not lines:
        raise UsageError(f"--prompts {path} has no prompt in it")
    return lines


def _prompt(line: str, number: int, path: Path) -> str:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise UsageError(f"--prompts {path}, record {number}: no JSON ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("prompt"), str):
        raise UsageError(f'--prompts {path}, record {number}: it has no text under "prompt"')
    return str(found["prompt"])


def read_picture(path: Path) -> Pixels:
    """(H, W, 3) uint8, upright, transparency on white. Raises UsageError."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UsageError(f"--reference {path} cannot be read as a picture: {error}") from error
    white = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return as_pixels(Image.alpha_composite(white, upright))


def refuse_finished(out: Path) -> None:
    """Raises UsageError where `out` is there already and holds something: pictures are never overwritten."""
    if out.suffix == ".png":
        if out.exists():
            raise UsageError(f"{out} exists already: name another file")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists already and is not empty: name another folder")


def save_all(
    out: Path, wishes: Sequence[Wish], pictures: Sequence[Pixels], settings: Settings, *, columns: int, model: Path
) -> None:
    """Each picture as PROMPT-NUMBER.png with what it was made of in its metadata, and the contact sheet, last.

    `out` may be the .png of the sheet alone. `columns`: pictures of each prompt, which stand side by side.
    """
    sheet = out if out.suffix == ".png" else out / SHEET
    texts = list(dict.fromkeys(wish.prompt.text for wish in wishes))
    with told(f"writing {out}"):
        if out.suffix != ".png":
            width = len(str(max(0, len(pictures) // columns - 1)))
            for place, (wish, picture) in enumerate(zip(wishes, pictures, strict=True)):
                name = f"{place // columns:0{max(3, width)}d}-{wish.number:03d}.png"
                _write(out / name, picture, facts(wish, settings, model))
        _write(sheet, contact_sheet(pictures, columns), {"prompts": json.dumps(texts, ensure_ascii=False)})


def facts(wish: Wish, settings: Settings, model: Path) -> dict[str, str]:
    """What a picture was made of, as its PNG tells it."""
    return {
        "prompt": wish.prompt.text,
        "negative": wish.negative,
        "seed": str(settings.seed),
        "number": str(wish.number),
        "steps": str(settings.steps),
        "guidance": f"{settings.guidance:g}" + ("" if settings.rescale else " plain"),
        "references": str(len(wish.prompt.images)),
        "model": model.resolve().name,
    }


def contact_sheet(pictures: Sequence[Pixels], columns: int) -> Pixels:
    """Pictures of one size as one, `columns` beside each other."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    whole = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        whole[top : top + height, left : left + width] = picture
    return whole


def _write(path: Path, picture: Pixels, metadata: dict[str, str]) -> None:
    told_there = PngImagePlugin.PngInfo()
    for key, value in metadata.items():
        told_there.add_itxt(key, value)
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=told_there)
