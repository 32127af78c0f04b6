"""All that scan measures about one image, in this process or, where it may be poison, in one that may die of it."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from pipelines.decode import decode
from pipelines.engines import Result, beat
from pipelines.engines.local import LocalEngine
from pipelines.extractors import discover
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


def examine(task: Task) -> Findings:
    """Header, one decode, every wanted signal. What is wrong with the image ends in the findings: nothing is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters of them is in the findings
        return _examine(task)


def _examine(task: Task) -> Findings:
    extractors = [e for e in discover(task.folders) if e.name in task.wanted]
    try:
        header = read_header(task.data)
    except UnreadableError as error:
        return Findings(str(error), {})
    picture, problem = None, None
    if task.judge or any(e.needs == "pixels" for e in extractors):
        try:
            picture = decode(task.data, header)
        except UnreadableError as error:
            problem = str(error)
    sample = Sample(task.image_id, task.data, header, picture)
    able = [e for e in extractors if e.needs == "header" or picture is not None]
    return Findings(problem, {e.name: measured(e, sample) for e in able})


def measured(extractor: Extractor, sample: Sample) -> dict[str, object]:
    """The extractor's row of one sample; where its code fails on it, a row that says so."""
    try:
        (row,) = extractor.fn([sample])
    except (*FAULTS, MemoryError) as error:
        text = one_line(f"{Reason.EXTRACTOR}: {type(error).__name__}: {error}")
        return {"image_id": sample.image_id, "version": None, "status": "error", "error": text}
    return {**row, "image_id": sample.image_id, "status": "ok", "error": None}


@contextmanager
def examiner(*, careful: bool, seconds: float = IMAGE_SECONDS) -> Iterator[Callable[[Task], Findings]]:
    """A function that examines one task after the other.

    `careful`: in a child process with limited memory and time, which may die without harm. The findings are the same,
    but for images that kill, hang or exhaust: these get an error CRASH, TIMEOUT or MEMORY.
    """
    if not careful:
        yield _beating
        return
    slot: deque[Task] = deque()
    child = LocalEngine(workers=1, stall_s=seconds, attempts=1)
    with closing(child.map(examine, iter(slot.popleft, None), setup=limit_memory)) as results:

        def ask(task: Task) -> Findings:
            slot.append(task)  # the child draws it when the next result is asked for
            result = next(results)
            return result.value if result.value is not None else _lost(result)

        yield ask


def _beating(task: Task) -> Findings:
    beat()
    return examine(task)


def _lost(result: Result[Task, Findings]) -> Findings:
    said = (result.error or "").split("\n")[0]
    if result.failure == "hung":
        return Findings(f"{Reason.TIMEOUT}: not decoded and measured in time, {said}", {})
    if result.failure == "died":
        return Findings(f"{Reason.CRASH}: decoding or measuring it killed the process, {said}", {})
    return Findings(f"{Reason.EXTRACTOR}: {said}", {})


def limit_memory() -> None:
    """Address space of this process limited to IMAGE_BYTES, where the system knows such a limit."""
    if os.name != "posix":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = IMAGE_BYTES if hard == resource.RLIM_INFINITY else min(IMAGE_BYTES, hard)
    with suppress(ValueError, OSError):  # macOS declares the limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
