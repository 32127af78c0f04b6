"""All that scan measures about one image, in this process or, where it may be poison, in one that may die of it."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from pipelines.decode import decode
from pipelines.engines import Result, beat
from pipelines.engines.local import LocalEngine
from pipelines.extractors import in_scan
from pipelines.extractors.base import Extractor, Sample
from pipelines.header import read_header
from pipelines.reasons import FAULTS, Reason, UnreadableError, one_line

#: Limits of the careful way. One image takes milliseconds; the largest that the bomb guard lets pass, seconds and 3 GB.
IMAGE_SECONDS = 60.0
IMAGE_BYTES = 8 << 30


@dataclass(frozen=True)
class Task:
    """One image to examine. `wanted` names the extractors; `judge`: decode even if none of them needs pixels."""

    image_id: str
    data: bytes
    wanted: tuple[str, ...]
    judge: bool = True
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """`error` says why the image cannot be judged; `rows` holds what each extractor could still measure."""

    error: str | None
    rows: dict[str, dict[str, object]]


def examine(tasks: Sequence[Task]) -> list[Findings]:
    """Header, one decode, every wanted signal of each image. What is wrong with one ends in its findings: nothing is
    raised. Extractors are handed all of the batch at once: the same code runs on image after image, which is faster."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters of them is in the findings
        opened = [_opened(task) for task in tasks]
        rows: list[dict[str, dict[str, object]]] = [{} for _ in tasks]
        for extractor in in_scan(tasks[0].folders) if tasks else ():
            able = [
                (sample, into)
                for task, (sample, _), into in zip(tasks, opened, rows, strict=True)
                if sample and extractor.name in task.wanted and (extractor.needs == "header" or sample.picture)
            ]
            measured = _measured(extractor, [sample for sample, _ in able]) if able else []
            for row, (_, into) in zip(measured, able, strict=True):
                into[extractor.name] = row
    return [Findings(problem, found) for (_, problem), found in zip(opened, rows, strict=True)]


def _opened(task: Task) -> tuple[Sample | None, str | None]:
    """The image ready to be measured, as far as it can be, and what is wrong with it."""
    beat()
    try:
        header = read_header(task.data)
    except UnreadableError as error:
        return None, str(error)
    picture, problem = None, None
    if task.judge or any(e.needs == "pixels" for e in in_scan(task.folders) if e.name in task.wanted):
        try:
            picture = decode(task.data, header)
        except UnreadableError as error:
            problem = str(error)
    return Sample(task.image_id, task.data, header, picture), problem


def _measured(extractor: Extractor, samples: Sequence[Sample]) -> list[dict[str, object]]:
    """The extractor's row of each sample; where its code fails on one, a row that says so."""
    try:
        rows: list[Mapping[str, object]] = list(extractor.fn(samples))  # type: ignore[arg-type]
        if len(rows) != len(samples):
            raise ValueError(f"{len(rows)} rows for {len(samples)} images")
    except (*FAULTS, MemoryError) as error:
        if len(samples) > 1:  # find out which one it is
            return [row for sample in samples for row in _measured(extractor, [sample])]
        text = one_line(f"{Reason.EXTRACTOR}: {type(error).__name__}: {error}")
        return [{"image_id": samples[0].image_id, "status": "error", "error": text}]
    return [
        {**row, "image_id": sample.image_id, "status": "ok", "error": None}
        for row, sample in zip(rows, samples, strict=True)
    ]


T = TypeVar("T")
F = TypeVar("F")


@contextmanager
def examiner(
    look: Callable[[Sequence[T]], list[F]],
    lost: Callable[[str], F],
    *,
    careful: bool,
    seconds: float = IMAGE_SECONDS,
) -> Iterator[Callable[[Sequence[T]], list[F]]]:
    """A function that looks at one batch after the other; `lost` makes the findings of an image that was lost.

    `careful`: image by image in a child process with limited memory and time, which may die without harm. The findings
    are the same, but for images that kill, hang or exhaust: these get an error CRASH, TIMEOUT or MEMORY.
    """
    if not careful:
        yield look
        return
    slot: deque[tuple[T]] = deque()
    child = LocalEngine(workers=1, stall_s=seconds, attempts=1)
    with closing(child.map(look, iter(slot.popleft, None), setup=limit_memory)) as results:

        def ask(task: T) -> F:
            slot.append((task,))  # the child draws it when the next result is asked for
            result = next(results)
            return result.value[0] if result.value is not None else lost(_how(result))

        yield lambda tasks: [ask(task) for task in tasks]


def _how(result: Result[Any, Any]) -> str:
    said = (result.error or "").split("\n")[0]
    if result.failure == "hung":
        return f"{Reason.TIMEOUT}: not decoded and measured in time, {said}"
    if result.failure == "died":
        return f"{Reason.CRASH}: decoding or measuring it killed the process, {said}"
    return f"{Reason.EXTRACTOR}: {said}"


def nothing_found(error: str) -> Findings:
    """Findings of an image that was lost on the way."""
    return Findings(error, {})


def limit_memory() -> None:
    """Address space of this process limited to IMAGE_BYTES, where the system knows such a limit."""
    if os.name != "posix":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = IMAGE_BYTES if hard == resource.RLIM_INFINITY else min(IMAGE_BYTES, hard)
    with suppress(ValueError, OSError):  # macOS declares the limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
