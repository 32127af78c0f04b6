"""Rendering by LibreOffice, where it is installed: many slides a call, the truth from the text of its PDF."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.geometry import IDENTITY
from synth.placed import Placed
from synth.template.deck.errors import DeckError
from synth.template.deck.render import Rendered
from synth.template.deck.sheets import Sheets
from synth.template.deck.source import BROKEN, Source, open_presentation
from synth.template.deck.xml import Element, P, R
from warehouse.errors import MissingDependency

SECONDS = 60.0  # for a call, and ten more for each slide in it
NAMES = ("soffice", "libreoffice")


@dataclass(frozen=True)
class Job:
    """A filled slide, and our own rendering of it, which says what must be found in LibreOffice's."""

    source: Source
    page: int
    sheets: Sheets
    own: Rendered


def require_office() -> str:
    """The path of the program. Raises MissingDependency."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise MissingDependency(
            "LibreOffice is not installed: apt-get install libreoffice-impress-nogui, or renderer own"
        )
    if importlib.util.find_spec("pypdfium2") is None:
        raise MissingDependency("pages of LibreOffice are read by pypdfium2: pip install pypdfium2, or renderer own")
    return found


@cache
def office_version() -> str:
    told = subprocess.run([require_office(), "--version"], capture_output=True, text=True, timeout=SECONDS, check=False)
    return f"{told.stdout.strip()} pypdfium2 {importlib.metadata.version('pypdfium2')}"


def render_with_office(jobs: Sequence[Job]) -> list[Rendered | DeckError]:
    """Each slide as LibreOffice draws it, at the size of our own rendering. One that fails has a DeckError instead."""
    with tempfile.TemporaryDirectory(prefix="glyphmill-office-") as folder:
        home = Path(folder)
        made: list[Path | DeckError] = []
        for number, job in enumerate(jobs):
            path = home / f"{number:04d}.pptx"
            try:
                path.write_bytes(one_slide(job))
                made.append(path)
            except BROKEN as error:
                made.append(DeckError("broken deck", f"{type(error).__name__}: {error}"[:200]))
        wanted = [path for path in made if isinstance(path, Path)]
        _convert(wanted, home)
        lost = [path for path in wanted if not path.with_suffix(".pdf").exists()]
        if len(wanted) > 1:
            for path in lost:  # one that hangs or crashes takes the others of its call with it
                _convert([path], home)
        return [
            _read(path.with_suffix(".pdf"), job) if isinstance(path, Path) else path
            for path, job in zip(made, jobs, strict=True)
        ]


def _convert(paths: Sequence[Path], home: Path) -> None:
    """Slides to PDF beside them. What LibreOffice started is killed with it."""
    if not paths:
        return
    command = [
        require_office(), "--headless", "--norestore", f"-env:UserInstallation={(home / 'profile').as_uri()}",
        "--convert-to", "pdf", "--outdir", str(home), *map(str, paths),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=SECONDS + 10 * len(paths))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def one_slide(job: Job) -> bytes:
    """The deck with this slide alone, as it was filled. Raises what python-pptx raises on broken decks."""
    deck = open_presentation(job.source.data)
    slide = deck.slides[job.page]
    for live, filled in (
        (slide.element, job.sheets.slide),
        (slide.slide_layout.element, job.sheets.layout),
        (slide.slide_layout.slide_master.element, job.sheets.master),
    ):
        _take_over(live, filled.root)
    listed = deck.element.find(f"{{{P}}}sldIdLst")
    for number, entry in reversed(list(enumerate(list(listed)))):
        if number != job.page:
            deck.part.drop_rel(entry.get(f"{{{R}}}id"))
            listed.remove(entry)
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def _take_over(live: Element, filled: Element) -> None:
    name = f"{{{P}}}cSld"
    old = live.find(name)
    live.replace(old, filled.find(name))


def _read(pdf: Path, job: Job) -> Rendered | DeckError:
    import pypdfium2  # type: ignore[import-untyped]

    if not pdf.exists():
        return DeckError("LibreOffice failed", "it made no PDF of this slide")
    height, width = job.own.image.shape[:2]
    try:
        document = pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError as error:
        return DeckError("LibreOffice failed", str(error))
    try:
        page = document[0]
        scale = width / page.get_width()
        drawn = page.render(scale=scale).to_numpy()[:, :, :3]
        image = np.full((height, width, 3), 255, np.uint8)
        shared = (min(height, drawn.shape[0]), min(width, drawn.shape[1]))
        image[: shared[0], : shared[1]] = drawn[: shared[0], : shared[1], ::-1]
        characters, boxes = _characters(page, scale, page.get_height())
        return Rendered(image, _found(job.own.texts, characters, boxes))
    except DeckError as error:
        return error
    finally:
        document.close()


def _characters(page: Any, scale: float, height: float) -> tuple[str, NDArray[np.float32]]:
    """The page's characters without blanks, and their boxes (n, 4) in pixels."""
    text = page.get_textpage()
    characters: list[str] = []
    boxes: list[tuple[float, float, float, float]] = []
    for i in range(text.count_chars()):
        c = text.get_text_range(i, 1)
        if len(c) == 1 and not c.isspace() and c != "\x02":
            left, bottom, right, top = text.get_charbox(i)
            characters.append(c)
            boxes.append((left * scale, (height - top) * scale, right * scale, (height - bottom) * scale))
    return "".join(characters), np.array(boxes, np.float32).reshape(-1, 4)


def _found(texts: Sequence[Placed], characters: str, boxes: NDArray[np.float32]) -> tuple[Placed, ...]:
    """Our own truth with its boxes and lines from the PDF. Raises DeckError where a text is not in it."""
    out = []
    cursor = 0
    for placed in texts:
        wanted = "".join(placed.text.split())
        at = characters.find(wanted, cursor)
        at = characters.find(wanted) if at < 0 else at
        if at < 0:
            raise DeckError("text lost", f"LibreOffice's page lacks {placed.text[:40]!r}")
        cursor = at + len(wanted)
        before = np.cumsum([0] + [not c.isspace() for c in placed.text])  # characters with ink before each place
        around = []
        for start, end in zip(placed.starts.tolist(), placed.ends.tolist(), strict=True):
            held = boxes[at + before[start] : at + before[end]]
            around.append((*held[:, :2].min(axis=0), *held[:, 2:].max(axis=0)))
        own = np.array(around, np.float32).reshape(-1, 4)
        out.append(replace(placed, boxes=own, lines=_lines(own, placed.direction), to_image=IDENTITY))
    return tuple(out)


def _lines(boxes: NDArray[np.float32], direction: str) -> NDArray[np.int32]:
    """The line of each character: a new one begins where writing goes back further than a character."""
    if direction == "vertical":
        back = np.diff((boxes[:, 1] + boxes[:, 3]) / 2) < 0
    else:
        back = np.diff((boxes[:, 0] + boxes[:, 2]) / 2) < -np.maximum(np.diff(boxes[:-1, [0, 2]], axis=1)[:, 0], 1)
    return np.concatenate([[0], np.cumsum(back)]).astype(np.int32)
