"""Reading back what a model wrote: OCR on its pictures, held against the text that the prompts quote.

    told = read_back(pictures, [wanted(prompt) for prompt in prompts])
    print(table(told))

A mean over all would hide the Chinese characters behind the Latin ones, so they are always told apart.
"""

from __future__ import annotations

import multiprocessing
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from annotate.captions.language import count_han
from annotate.captions.quotes import quoted
from warehouse.errors import UsageError

Pixels = npt.NDArray[np.uint8]
Group = Literal["all", "Chinese", "Latin"]
#: "line": the picture is one line of text, recognised as it is; "page": lines are looked for first.
How = Literal["line", "page"]
CHUNK = 16  # pictures handed to a process at once


@dataclass(frozen=True)
class Reading:
    """A picture that should say `wanted`, and what was read; both in the form that is compared."""

    wanted: str
    read: str

    @property
    def exact(self) -> bool:
        return self.wanted == self.read

    @property
    def accuracy(self) -> float:
        """1 - edits / characters, not below 0: what is read too much counts as wrong too."""
        if not self.wanted:
            return float(not self.read)
        return max(0.0, 1 - edits(self.wanted, self.read) / len(self.wanted))

    @property
    def group(self) -> Group:
        """Chinese where any character is; otherwise Latin, digits included."""
        return "Chinese" if count_han(self.wanted) else "Latin"


@dataclass(frozen=True)
class Score:
    """Shares over `count` pictures: `exact` read as wanted, `accuracy` of their characters."""

    count: int
    exact: float
    accuracy: float


def wanted(prompt: str) -> str:
    """What a picture of this prompt should say: all that it quotes, in order, each text once; empty where nothing."""
    return compared("".join(quoted(prompt)))


def compared(text: str) -> str:
    """Compatibility forms made plain, blanks left out. Case counts, signs count."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def edits(a: str, b: str) -> int:
    """Levenshtein's distance: characters put in, left out or replaced."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def read_back(
    pictures: Sequence[Pixels],
    texts: Sequence[str],
    *,
    how: How = "line",
    workers: int = 2,
    on_picture: Callable[[int], None] | None = None,
) -> list[Reading]:
    """Each picture (H, W, 3) uint8 read and held against its text. `on_picture`: told how many are read.

    The reader is that of `annotate.ocr`; each process has its own. Raises UsageError where there is none on this
    machine, or the numbers differ.
    """
    if len(pictures) != len(texts):
        raise UsageError(f"{len(pictures)} pictures cannot be held against {len(texts)} texts")
    read = read_texts(pictures, how=how, workers=workers, on_picture=on_picture)
    return [Reading(compared(text), compared(got)) for text, got in zip(texts, read, strict=True)]


def read_texts(
    pictures: Sequence[Pixels],
    *,
    how: How = "line",
    workers: int = 2,
    on_picture: Callable[[int], None] | None = None,
) -> list[str]:
    """What OCR reads in each picture, in order, whatever the number of processes."""
    from annotate.ocr.reader import missing

    lacking = missing()
    if lacking:
        raise UsageError(lacking)
    chunks = [(pictures[at : at + CHUNK], how) for at in range(0, len(pictures), CHUNK)]
    found: list[str] = []
    if workers < 2 or len(chunks) < 2:
        for chunk in chunks:
            found += _read(chunk)
            if on_picture is not None:
                on_picture(len(found))
        return found
    # Not forked: the threads of torch and onnxruntime do not survive it.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for texts in pool.map(_read, chunks):
            found += texts
            if on_picture is not None:
                on_picture(len(found))
    return found


def _read(chunk: tuple[Sequence[Pixels], How]) -> list[str]:
    from PIL import Image

    from annotate.ocr.reader import reader

    engine = reader()
    found = []
    for picture in chunk[0]:
        image = Image.fromarray(picture)
        if chunk[1] == "line":
            found.append(engine.read_line(image)[0])
        else:
            found.append("\n".join(line.text for line in engine.read(image)))
    return found


def scores(readings: Sequence[Reading]) -> dict[Group, Score]:
    """By group, "all" first; groups that no picture is of are left out."""
    groups: dict[Group, list[Reading]] = {"all": list(readings)}
    for name in ("Chinese", "Latin"):
        groups[name] = [reading for reading in readings if reading.group == name]
    return {
        name: Score(
            len(some),
            sum(reading.exact for reading in some) / len(some),
            sum(reading.accuracy for reading in some) / len(some),
        )
        for name, some in groups.items()
        if some
    }


def table(readings: Sequence[Reading]) -> str:
    """A few lines for people."""
    lines = [f"{'':<8} {'pictures':>8} {'exact':>7} {'characters':>10}"]
    for name, score in scores(readings).items():
        lines.append(f"{name:<8} {score.count:>8} {score.exact:>7.1%} {score.accuracy:>10.1%}")
    return "\n".join(lines)
