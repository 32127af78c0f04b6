"""Prompts and pictures from files; the pictures of a run into files, each once, and a contact sheet."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from xxhash import xxh3_64

from model.curriculum.sizes import size
from model.feed.pixels import UndecodableError, fitted
from model.generate import Settings, Wish
from model.pixels import sheet as joined
from model.schedule import ScheduleConfig
from model.text.prompt import Pixels, as_pixels
from warehouse.errors import UsageError
from warehouse.files import replacing, told

SHEET = "sheet.png"
NATIVE = 1328  # the side of Qwen-Image's sizes
TILE = 384  # pixels of a sheet's picture's longer side, at most
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


def numbered(prompts: Sequence[str], count: int) -> list[tuple[str, int]]:
    """`count` pictures of each prompt, by prompt and number. One that is listed again goes on counting: its pictures
    would else be the same ones."""
    met: Counter[str] = Counter()
    found = []
    for prompt in prompts:
        found += [(prompt, met[prompt] + i) for i in range(count)]
        met[prompt] += count
    return found


def read_picture(path: Path, height: int, width: int) -> Pixels:
    """A reference (height, width, 3) uint8, from its bytes as training's producers prepare it: upright, transparency on
    white, cut to the proportions of the picture that is made. Raises UsageError."""
    try:
        return fitted(path.read_bytes(), height, width).pixels
    except (OSError, UndecodableError) as error:
        raise UsageError(f"--reference {path} cannot be read as a picture: {error}") from error


@dataclass(frozen=True)
class Album:
    """Where pictures go: `out` is a folder, or the .png of the contact sheet alone. `columns`: pictures of a prompt.

    A picture is PROMPT-NUMBER.png and its metadata tell all that it was made of, so that a run that was stopped goes on
    where it was: pictures that are there and say the same are kept.
    """

    out: Path
    columns: int
    settings: Settings
    model: str

    @property
    def sheet(self) -> Path:
        return self.out if self._alone else self.out / SHEET

    @property
    def _alone(self) -> bool:
        return self.out.suffix == ".png"

    def path(self, place: int) -> Path:
        """Of picture number `place` of all, prompt after prompt."""
        return self.out / f"{place // self.columns:03d}-{place % self.columns:03d}.png"

    def finished(self, wishes: Sequence[Wish]) -> dict[int, Pixels]:
        """Pictures that are there already, by place. Raises UsageError where something else is: it is not touched."""
        if not self.out.exists():
            return {}
        if self._alone:
            raise UsageError(f"{self.out} exists already: name another file")
        paths = {self.path(place): place for place in range(len(wishes))}
        found = {}
        for path in sorted(self.out.iterdir()) if self.out.is_dir() else [self.out]:
            if path == self.sheet or path.suffix == ".tmp":
                continue
            place = paths.get(path)
            picture = None if place is None else _if_of(path, self.facts(wishes[place]))
            if place is None or picture is None:
                raise UsageError(f"{path} exists already and is of something else: name another --out")
            found[place] = picture
        return found

    def write(self, place: int, wish: Wish, picture: Pixels) -> None:
        if not self._alone:
            with told(f"writing {self.out}"):
                _write(self.path(place), picture, self.facts(wish))

    def finish(self, pictures: Sequence[Pixels], wishes: Sequence[Wish]) -> None:
        """Write the contact sheet."""
        texts = list(dict.fromkeys(wish.prompt.text for wish in wishes))
        with told(f"writing {self.out}"):
            _write(
                self.sheet, contact_sheet(pictures, self.columns), {"prompts": json.dumps(texts, ensure_ascii=False)}
            )

    def facts(self, wish: Wish) -> dict[str, str]:
        """What a picture was made of, as its PNG tells it."""
        settings = self.settings
        shown = b"".join(bytes(str(image.shape), "ascii") + image.tobytes() for image in wish.prompt.images)
        return {
            "prompt": wish.prompt.text,
            "negative": wish.negative,
            "seed": str(settings.seed),
            "number": str(wish.number),
            "size": f"{settings.width}x{settings.height}",
            "steps": str(settings.steps),
            "guidance": f"{settings.guidance:g}" + ("" if settings.rescale else " plain"),
            "references": f"{len(wish.prompt.images)} {xxh3_64(shown).hexdigest()}" if wish.prompt.images else "0",
            "model": self.model,
        }


def model_name(folder: Path, schedule: ScheduleConfig) -> str:
    """Name of a checkpoint folder, and digits that change where its files or the schedule do."""
    total = xxh3_64(str(schedule).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = path.stat()
        total.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    return f"{folder.resolve().name} {total.hexdigest()}"


def contact_sheet(pictures: Sequence[Pixels], columns: int) -> Pixels:
    """Pictures of one size as one, `columns` beside each other; those larger than TILE are shrunk to it."""
    height, width = pictures[0].shape[:2]
    shrink = min(1.0, TILE / max(height, width))
    if shrink == 1:
        return joined(pictures, columns)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return joined([_resized(picture, size) for picture in pictures], columns)


def _resized(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture at (width, height), whatever its proportions."""
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _if_of(path: Path, facts: dict[str, str]) -> Pixels | None:
    """The picture, where it tells just that."""
    try:
        with Image.open(path) as image:
            image.load()
            return as_pixels(image) if getattr(image, "text", {}) == facts else None
    except (OSError, UnidentifiedImageError):
        return None


def _write(path: Path, picture: Pixels, metadata: dict[str, str]) -> None:
    told_there = PngImagePlugin.PngInfo()
    for key, value in metadata.items():
        told_there.add_itxt(key, value)
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=told_there)
