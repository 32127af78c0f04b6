"""Photographs: found in folders, decoded no larger than needed, with what is told of them beside them.

Beside `a.jpg` may stand `a.json`: {"quads": [[x0, y0, x1, y1, x2, y2, x3, y3], ...]}, corners top left, top right,
bottom right, bottom left in pixels of the file as it is shown, of places where writing may go. Captions are read from
`captions.jsonl` in the folder or the one above it (one object a line, its `file` relative to that folder, captions in
fields as warehouse/sources/captions.py knows them) and from `a.txt`. A line may have `width`, `height` and, as COCO
does, `objects`: [{"category", "bbox": [x, y, width, height]}, ...]: none but furniture and floors is ever covered.
"""

from __future__ import annotations

import hashlib
import json
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from synth.compositional.noise import Rgb
from synth.geometry import Floats
from warehouse.errors import GlyphmillError, UsageError
from warehouse.sources.captions import Told

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MOST_PIXELS = 120_000_000
NARROWEST = 4  # times as long as wide
#: What decoders raise on damaged files, as seen over some hundred of them.
_FAULTS = (
    *(
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        LookupError,
        ArithmeticError,
        TypeError,
        AttributeError,
        RuntimeError,
    ),
    *(MemoryError, struct.error, zlib.error),
)
Box = tuple[float, float, float, float]
_COVERABLE = frozenset({"dining table", "bed", "couch", "bench", "tv", "refrigerator"})
_FILE_FIELDS = ("file", "file_name", "filename", "image", "path")


class PhotoError(GlyphmillError):
    """A photograph that cannot be used; the sample that wanted it is skipped and counted."""


@dataclass(frozen=True)
class Album:
    """Photographs in a fixed order. `captions`: by file, then by language. `objects`: boxes, x0, y0, x1, y1 as shares
    of width and height, of what is not to be covered."""

    files: tuple[Path, ...]
    captions: Mapping[Path, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    objects: Mapping[Path, tuple[Box, ...]] = field(default_factory=dict)
    digest: str = ""


@lru_cache(maxsize=8)
def open_album(paths: tuple[str, ...]) -> Album:
    """All photographs in the folders, their folders within, and the files named. Raises UsageError where none is."""
    files: list[Path] = []
    tables: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            if not found:
                raise UsageError(f"{name}: no photographs in it ({', '.join(SUFFIXES)})")
            files += found
            tables |= dict.fromkeys(p for p in (path / "captions.jsonl", path.parent / "captions.jsonl") if p.is_file())
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(f"{name}: no such folder or file; give a folder of photographs")
    files = list(dict.fromkeys(files))
    captions: dict[Path, Mapping[str, tuple[str, ...]]] = {}
    objects: dict[Path, tuple[Box, ...]] = {}
    told = hashlib.blake2b(digest_size=16)
    for table in tables:
        told.update(table.read_bytes())
        for path, record in _records(table).items():
            lines = Told()
            lines.add_fields(record, table.name)
            captions[path] = _by_language(lines)
            objects[path] = _objects(record)
    for path in files:
        told.update(f"{path.name}\0{path.stat().st_size}\n".encode() + _ends(path))
        for beside in (path.with_suffix(".json"), path.with_suffix(".txt")):
            if beside.is_file():
                told.update(beside.read_bytes())
        if path.with_suffix(".txt").is_file():
            lines = Told()
            lines.add_sidecar("txt", path.with_suffix(".txt").name, path.with_suffix(".txt").read_bytes())
            captions[path] = _by_language(lines)
    return Album(tuple(files), MappingProxyType(captions), MappingProxyType(objects), told.hexdigest())


def _ends(path: Path) -> bytes:
    """The first and the last 4 KB: they tell two photographs of one name and size apart, and cost no whole reading."""
    with open(path, "rb") as file:
        head = file.read(4096)
        file.seek(max(0, path.stat().st_size - 4096))
        return head + file.read(4096)


def _records(table: Path) -> dict[Path, dict[str, object]]:
    """The lines of a captions file, by the photograph they tell of. Raises UsageError."""
    out: dict[Path, dict[str, object]] = {}
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{table}: not UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{table}: line {number} is not JSON: {error}") from error
        names = [record[f] for f in _FILE_FIELDS if isinstance(record.get(f), str)] if isinstance(record, dict) else []
        if not names:
            raise UsageError(f"{table}: line {number} names no file (a field `file` is wanted)")
        out[table.parent / names[0]] = record
    return out


def _objects(record: Mapping[str, object]) -> tuple[Box, ...]:
    """Boxes of what is not to be covered; a record without sizes, or of another form, tells of none."""
    width, height, told = record.get("width"), record.get("height"), record.get("objects")
    if not (isinstance(width, int) and isinstance(height, int) and isinstance(told, list) and width > 0 < height):
        return ()
    boxes: list[Box] = []
    for thing in told:
        box = thing.get("bbox") if isinstance(thing, dict) else None
        if isinstance(box, list) and len(box) == 4 and thing.get("category") not in _COVERABLE:
            x, y, w, h = (float(v) for v in box)
            boxes.append(
                (max(0.0, x / width), max(0.0, y / height), min(1.0, (x + w) / width), min(1.0, (y + h) / height))
            )
    return tuple(boxes)


def _by_language(told: Told) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for caption in told.captions:
        language = "zh" if (caption.lang or "").startswith("zh") else "en"
        text = " ".join(caption.text.split())
        if text:
            found[language] = (*found.get(language, ()), text)
    return MappingProxyType(found)


def sized(path: Path, longer: int, most: float = 1.6) -> tuple[int, int, float]:
    """Height and width at which `load` gives the photograph: its longer side `longer` pixels, but never enlarged beyond
    `most` times; and by how much it is scaled. Raises PhotoError."""
    with _reading(path), Image.open(path) as image:
        upright = image.size[::-1] if _orientation(image) in (5, 6, 7, 8) else image.size
        if upright[0] * upright[1] > MOST_PIXELS:
            raise PhotoError(f"{path.name}: {upright[0]}x{upright[1]} pixels are too many")
        if min(upright) < 64 or max(upright) > NARROWEST * min(upright):
            raise PhotoError(f"{path.name}: {upright[0]}x{upright[1]} pixels are too few or too narrow")
    scale = min(longer / max(upright), most)
    w, h = (max(1, round(side * scale)) for side in upright)
    return h, w, scale


def load(path: Path, size: tuple[int, int]) -> Rgb:
    """The photograph upright, (h, w, 3) of the (h, w) asked for. Raises PhotoError."""
    h, w = size
    with _reading(path), Image.open(path) as image:
        if image.format == "JPEG" and _orientation(image) == 1 and image.mode in ("RGB", "L"):
            data = path.read_bytes()
            rgb = simplejpeg.decode_jpeg(data, "RGB", min_width=w, min_height=h, min_factor=1, strict=True)
        else:
            image.draft("RGB", (max(size), max(size)))
            rgb = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if rgb.shape[:2] == (h, w):
        whole: Rgb = np.ascontiguousarray(rgb)
        return whole
    way = cv2.INTER_AREA if rgb.shape[0] > h else cv2.INTER_CUBIC
    resized: Rgb = cv2.resize(rgb, (w, h), interpolation=way)
    return resized


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a decoder says of a damaged file, said of this file; its warnings are not passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (*_FAULTS, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path.name}: cannot be decoded: {error}") from error


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(0x0112, 1))


def given_quads(path: Path) -> list[Floats]:
    """Places that the owner of the photograph names, (4, 2) each in pixels of the file. Raises PhotoError."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return []
    try:
        record = json.loads(beside.read_text(encoding="utf-8"))
        quads = record.get("quads", []) if isinstance(record, dict) else []
        return [np.array(q, np.float64).reshape(4, 2) for q in quads]
    except (ValueError, TypeError) as error:
        raise PhotoError(f"{beside.name}: no quads can be read from it: {error}") from error
