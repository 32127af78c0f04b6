"""Narrow: units that fail are cut in pieces and tried again, so that one image does not hold back those beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pipelines.engines import Engine, R, Result, U

PIECES = 16  # that a unit is cut into


def narrowed(
    engine: Engine, work: Callable[[U], R], units: Iterable[U], cut: Callable[[U], Sequence[U]]
) -> Iterator[Result[U, R]]:
    """The results of `engine.map`; in the place of a unit that fails, those of the pieces that `cut` makes of it, and
    so on until it makes less than two. Where most pieces of a unit fail, it is not for one image, and they stay whole.
    """
    failed = []
    for result in engine.map(work, units):
        if result.value is None:
            failed.append(result)
        else:
            yield result
    for result in failed:
        yield from _in_pieces(engine, work, result, cut)


def _in_pieces(
    engine: Engine, work: Callable[[U], R], result: Result[U, R], cut: Callable[[U], Sequence[U]]
) -> Iterator[Result[U, R]]:
    pieces = cut(result.unit)
    if len(pieces) < 2:
        yield result
        return
    found = list(engine.map(work, pieces))
    bad = [one for one in found if one.value is None]
    yield from (one for one in found if one.value is not None)
    for one in bad:
        if 2 * len(bad) > len(found):
            yield one
        else:
            yield from _in_pieces(engine, work, one, cut)
