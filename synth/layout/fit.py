"""Dynamic font size: the largest that fits a box, found by search over arithmetic; the text is shaped once."""

from __future__ import annotations

import math
from dataclasses import replace

from synth.layout.block import Block, OverflowingError, Setting
from synth.layout.lines import Measured, break_lines, measured
from synth.layout.paragraph import place
from synth.layout.shape import shape


def fit(text: str, setting: Setting, width: float, height: float, smallest: float, largest: float) -> Block:
    """Set `text` at the largest size of whole pixels from `smallest` to `largest` at which it fits `width` x `height`.

    `setting.size` is not looked at. Raises OverflowingError where it does not fit at the smallest, UndrawableError.
    """
    shaped = shape(text, setting)
    measure, room = (height, width) if setting.direction == "vertical" else (width, height)
    found = measured(shaped, setting.tracking)
    low, high = math.ceil(smallest), math.floor(largest)
    if not _fits(found, setting, low, measure, room):
        raise OverflowingError(f"the text does not fit {width:.0f}x{height:.0f} pixels at size {low}")
    while low < high:  # a text that fits at one size fits at all smaller ones but for rare line breaks
        middle = (low + high + 1) // 2
        if _fits(found, setting, middle, measure, room):
            low = middle
        else:
            high = middle - 1
    return place(shaped, replace(setting, size=float(low)), measure)


def balanced(text: str, setting: Setting, measure: float) -> Block:
    """Set `text` in as few lines as `measure` pixels allow, all about equally long: no lonely word in the last.

    Raises OverflowingError, UndrawableError.
    """
    shaped = shape(text, setting)
    found = measured(shaped, setting.tracking)
    size = setting.size
    count = len(break_lines(found, measure / size))
    low, high = measure / size / 2, measure / size
    for _ in range(8):
        middle = (low + high) / 2
        try:
            narrow = len(break_lines(found, middle)) > count
        except OverflowingError:
            narrow = True
        low, high = (middle, high) if narrow else (low, middle)
    return place(shaped, setting, high * size)


def _fits(text: Measured, setting: Setting, size: int, measure: float, room: float) -> bool:
    try:
        lines = break_lines(text, measure / size)
    except OverflowingError:
        return False
    return len(lines) * setting.leading * size <= room
