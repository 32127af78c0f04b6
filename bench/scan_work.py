"""What the workers of bench/scan.py run: scan's own work, and the bare floor beneath it."""

from __future__ import annotations

import hashlib
import io
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from pipelines.decode import working_size
from pipelines.scan_unit import Job, work


@dataclass(frozen=True)
class Measured:
    images: int
    peak_mb: float


@dataclass(frozen=True)
class Bare:
    """A unit of the floor: these files, by this decoder."""

    paths: tuple[str, ...]
    decoder: str


def peak_mb() -> float:
    """Peak resident memory of this process. Linux hands ru_maxrss down from the parent, VmHWM is the process's own."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@dataclass(frozen=True)
class Span:
    """When a unit's work began and ended, seconds since 1970, and its images."""

    began: float
    ended: float
    images: int


def timed_unit(job: Job) -> Span:
    """All signals of a unit, and when that was."""
    began = time.time()
    done = work(job)
    return Span(began, time.time(), done.samples)


def scan_unit(job: Job) -> Measured:
    """All signals of a unit, parts written: the very function that `glyphmill scan` runs."""
    return Measured(work(job).samples, peak_mb())


def bare_unit(unit: Bare) -> Measured:
    """Read, hash, header and decode at the scale that scan decodes at; nothing else."""
    decode = DECODERS[unit.decoder]
    for path in unit.paths:
        data = Path(path).read_bytes()
        hashlib.sha256(data).hexdigest()
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        decode(data, *working_size(width, height))
    return Measured(len(unit.paths), peak_mb())


def by_simplejpeg(data: bytes, width: int, height: int) -> object:
    return simplejpeg.decode_jpeg(
        data, "RGB", fastdct=True, fastupsample=True, min_width=width, min_height=height, min_factor=2
    )


def by_pillow(data: bytes, width: int, height: int) -> object:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.draft("RGB", (width, height))
    image.load()
    return image


def by_opencv(data: bytes, width: int, height: int) -> object:
    import cv2

    full_height, full_width, _, _ = simplejpeg.decode_jpeg_header(data)
    scale = min(full_width // width, full_height // height)
    how = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 3: cv2.IMREAD_REDUCED_COLOR_2}
    return cv2.imdecode(np.frombuffer(data, np.uint8), how.get(scale, cv2.IMREAD_REDUCED_COLOR_4))


DECODERS: dict[str, Callable[[bytes, int, int], object]] = {"simplejpeg": by_simplejpeg, "pillow": by_pillow}
try:
    import cv2

    cv2.setNumThreads(1)
    DECODERS["opencv"] = by_opencv
except ImportError:
    pass


def fastest(paths: list[str]) -> tuple[str, dict[str, float]]:
    """The fastest decoder installed, and milliseconds per image of each (best of five rounds, alternating)."""
    files = [Path(p).read_bytes() for p in paths]
    best = dict.fromkeys(DECODERS, float("inf"))
    for _ in range(5):
        for name, decode in DECODERS.items():
            began = time.perf_counter()
            for data in files:
                height, width, _, _ = simplejpeg.decode_jpeg_header(data)
                decode(data, *working_size(width, height))
            best[name] = min(best[name], (time.perf_counter() - began) / len(files) * 1000)
    return min(best, key=lambda name: best[name]), best
