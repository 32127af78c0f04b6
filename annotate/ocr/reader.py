"""Reading text in pictures: one small interface, two engines behind it, chosen by `[ocr]` in models.toml.

Without a section, rapidocr reads with the PP-OCR networks that come in its wheel. See docs/ocr.md.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from annotate import models
from annotate.ocr.reading import Line, PageReader
from warehouse.errors import UsageError

ENGINES = ("rapidocr", "paddleocr")
RUNTIMES = ("onnxruntime", "paddle")
KEYS = frozenset({"engine", "detection", "recognition", "runtime", "blind"})
READING = "1"  # raise when annotate/ocr_*.py would give other lines for the same networks

#: The networks in rapidocr's wheel, by name: others may come with another version, or be downloaded beside them.
BUNDLED = ("PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx")


class Reader(Protocol):
    """What reads text. The same picture gives the same lines, whatever was read before."""

    def read(self, image: Image.Image) -> list[Line]:
        """Lines of an upright RGB picture in reading order, those that cannot be read included."""

    def read_line(self, image: Image.Image) -> tuple[str, float]:
        """Text and confidence of an RGB picture that shows one horizontal line and nothing else."""


@dataclass(frozen=True)
class Settings:
    """Which engine, and where its two networks are: ONNX files for rapidocr, folders for paddleocr.

    `blind`: a list of characters it misreads, in place of the one that comes with the bundled networks.
    """

    engine: str
    detection: Path
    recognition: Path
    runtime: str
    blind: Path | None


def settings() -> Settings:
    """What `[ocr]` in models.toml asks for, checked. Raises UsageError in words that say what to change."""
    told = models.section("ocr")
    unknown = sorted(told.keys() - KEYS)
    if unknown:
        raise UsageError(f"[ocr] in {models.path()}: unknown key {unknown[0]}; known are {', '.join(sorted(KEYS))}")
    engine = _one_of(told, "engine", ENGINES)
    runtime = _one_of(told, "runtime", RUNTIMES)
    paths = {key: _path(told, key) for key in ("detection", "recognition", "blind")}
    detection, recognition = paths["detection"], paths["recognition"]
    if engine == "rapidocr" and detection is None and recognition is None:
        detection, recognition = (_bundled(name) for name in BUNDLED)
    if detection is None or recognition is None:
        raise UsageError(
            f"[ocr] in {models.path()}: engine {engine} needs both detection and recognition, each the path of "
            + ("an ONNX file" if engine == "rapidocr" else "a PaddleOCR model folder")
        )
    for place in (detection, recognition):
        if not (place.is_file() if engine == "rapidocr" else place.is_dir()):
            raise UsageError(f"[ocr]: nothing at {place}: check the path in {models.path()}, or reinstall {engine}")
    return Settings(engine, detection, recognition, runtime, paths["blind"])


def missing() -> str | None:
    """What this machine lacks to read text, in one line, or None. Loads nothing."""
    told = models.section("ocr")
    engine = told.get("engine", ENGINES[0])
    if engine == "rapidocr":
        lacking = [name for name in ("rapidocr", "onnxruntime", "cv2", "shapely") if not _there(name)]
        if lacking:
            return f"install glyphmill[ocr]: no {lacking[0]} on this machine"
    if engine == "paddleocr" and not _there("paddleocr"):
        return "[ocr] asks for paddleocr: pip install paddleocr, or leave engine out to read with rapidocr"
    try:
        settings()
    except UsageError as error:
        return str(error)
    return None


def reader() -> Reader:
    """The configured reader, loaded once per process. Raises UsageError."""
    return _load(settings())


def fingerprint() -> str:
    """Names the engine, its version and its networks: another fingerprint may read other text. Raises UsageError."""
    chosen = settings()
    return f"{chosen.engine} {_version(chosen.engine)} {networks(chosen)} reading {READING}"


def networks(chosen: Settings) -> str:
    """First digits of the hashes of both networks: `det 0123abcd rec 4567ef89`."""
    return f"det {_digest(chosen.detection)} rec {_digest(chosen.recognition)}"


@cache
def _load(chosen: Settings) -> Reader:
    lacking = missing()
    if lacking:
        raise UsageError(lacking)
    if chosen.engine == "rapidocr":
        from annotate.ocr.rapid import RapidEngine

        return PageReader(RapidEngine(chosen.detection, chosen.recognition))
    from annotate.ocr.paddle import PaddleEngine

    return PageReader(PaddleEngine(chosen.detection, chosen.recognition, chosen.runtime))


def _one_of(told: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = told.get(key, known[0])
    if value not in known:
        raise UsageError(f"[ocr] in {models.path()}: {key} is {value!r}, and must be {' or '.join(known)}")
    return str(value)


def _path(told: Mapping[str, Any], key: str) -> Path | None:
    value = told.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise UsageError(f"[ocr] in {models.path()}: {key} must be a path in quotes")
    return Path(value).expanduser()


def _bundled(name: str) -> Path:
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise UsageError("install glyphmill[ocr]: no rapidocr on this machine")
    return Path(spec.origin).parent / "models" / name


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _version(engine: str) -> str:
    runtime = importlib.metadata.version("onnxruntime") if _there("onnxruntime") else "none"
    return f"{importlib.metadata.version(engine)} onnxruntime {runtime}"


def _digest(place: Path) -> str:
    files = [place] if place.is_file() else sorted(f for f in place.rglob("*") if f.is_file())
    return _hashed(tuple((f, f.stat().st_size, f.stat().st_mtime_ns) for f in files))


@cache
def _hashed(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = sha256()
    for path, _, _ in files:
        total.update(path.name.encode() + b"\0")
        total.update(sha256(path.read_bytes()).digest())
    return total.hexdigest()[:8]
