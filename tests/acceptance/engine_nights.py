"""Nights that engines are compared by: what is delivered, the commands, and a gate that holds a scan in its middle."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import drawn_pages
import numpy as np
from acceptance_tools import command, picture
from PIL import Image, ImageFilter

SPARK = ("--engine", "spark", "--engine-opt", "master=local[2]")
BEAM = ("--engine", "beam")
DAYS = ("2026-11-20", "2026-11-21")

GATE = """
import time, uuid
from pathlib import Path
import pyarrow as pa
from pipelines.extractors.base import Extractor
from warehouse.schema import Column

FOLDER = Path({folder!r})

def measure(batch):
    (FOLDER / (uuid.uuid4().hex + ".seen")).touch()
    end = time.monotonic() + 90
    while (FOLDER / "hold").exists() and len(list(FOLDER.glob("*.seen"))) > {passed} and time.monotonic() < end:
        time.sleep(0.05)
    return [{{"gate": 1.0}} for _ in batch]

COLUMNS = (Column("gate", pa.float32(), "1 for every image"),)
EXTRACTOR = Extractor("gate", "1", "one row per image: 1", COLUMNS, measure)
"""


@dataclass
class Gate:
    """Holds every scan on this machine after its first units."""

    folder: Path
    passed: int = 2

    def write(self) -> None:
        """The extractor that waits, for GLYPHMILL_EXTRACTORS."""
        (self.folder / "gate.py").write_text(GATE.format(folder=str(self.folder), passed=self.passed))

    def hold(self) -> None:
        for note in self.folder.glob("*.seen"):
            note.unlink()
        (self.folder / "hold").touch()

    def wait(self) -> None:
        """Until a scan has come so far."""
        end = time.monotonic() + 150
        while len(list(self.folder.glob("*.seen"))) <= self.passed:
            assert time.monotonic() < end, "no scan came to the gate"
            time.sleep(0.05)

    def open(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)


class Mill:
    """`glyphmill` on one lake: `nights` are curated, one after the other, or a source's dates are."""

    def __init__(self, lake: Path, nights: list[Path], env: dict[str, str]) -> None:
        self.lake, self.nights, self.env = lake, nights, {**os.environ, **env}

    def start(self, night: int, *engine: str) -> subprocess.Popen[str]:
        arguments = ("curate", self.nights[night], "--lake", self.lake, "--batch", str(night), "--source-name", "s")
        return self.run(*arguments, "--workers", 2, *engine)

    def run(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env
        )

    def finish(self, run: subprocess.Popen[str], code: int = 0) -> str:
        said, _ = run.communicate(timeout=3600)
        assert run.returncode == code, said
        return said

    def curate(self, night: int, *engine: str) -> None:
        self.finish(self.start(night, *engine))

    def digest(self) -> str:
        return self.finish(self.run("digest", "--lake", self.lake))


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def deliver(folder: Path, tars: int, images: int, seed: int, known: list[bytes]) -> list[bytes]:
    """Tars of pictures of which some are broken, repeats, near copies or blurred, with none, one or two captions, and
    of synthetic pages. Returns the pictures known by now: some of them come again."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    for number in range(tars):
        members: dict[str, bytes] = {}
        for i in range(images):
            made, kind, key = picture(draw), i % 12, f"{number:03d}-{i:03d}"
            captions: dict[str, str] = {"txt": f"picture number {i} of {number}"} if kind != 4 else {}
            if kind % 3 == 0:
                captions["json"] = '{"caption": "a pattern of many colours", "license": "CC0"}'
            if kind == 5:
                made = made.filter(ImageFilter.GaussianBlur(9))
            if kind == 10:
                made, words = _page(1000 * seed + 100 * number + i)
                captions = {"json": json.dumps({"synthetic": f"a page that reads {words}"})}
            data = _encoded(made, "PNG" if kind == 2 else "WEBP" if kind == 3 else "JPEG", 88)
            if kind == 7 and known:
                data = known[int(draw.integers(len(known)))]
            if kind == 8:
                data = data[: len(data) // 2]
            if kind == 9:
                data = b"<!DOCTYPE html><p>no picture"
            members[f"{key}.jpg"] = data
            members |= {f"{key}.{suffix}": text.encode() for suffix, text in captions.items()}
            if kind == 1:
                members[f"{key}-small.jpg"] = _encoded(made.resize((360, 270)), "JPEG", 80)
            if kind < 2:
                known.append(data)
        write_tar(folder / f"{number:03d}.tar", members)
    return known


def _page(seed: int) -> tuple[Image.Image, str]:
    layout = drawn_pages.layout("slide", seed, text_size=20, size=(480, 360))
    words = drawn_pages.words_for(layout, seed)
    return drawn_pages.draw(layout, words), " ".join(words[0])


def _encoded(image: Image.Image, kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def two_deliveries(root: Path, tars: int, images: int) -> list[Path]:
    """The second brings new pictures, pictures of the first, and one of its tars under a new name."""
    first, second = root / "one", root / "two"
    known = deliver(first, tars, images, 1, [])
    deliver(second, tars // 2, images, 2, known)
    shutil.copy(first / "000.tar", second / "again.tar")
    return [first, second]
