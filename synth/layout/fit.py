"""Dynamic font size: the largest that fits a box, found by search over arithmetic; the text is shaped once."""

from __future__ import annotations

import math
from dataclasses import replace

from synth.layout.block import Block, OverflowingError, Setting
from synth.layout.lines import advances, break_lines
from synth.layout.paragraph import place
from synth.layout.shape import Shaped, shape


def fit(text: str, setting: Setting, width: float, height: float, smallest: float, largest: float) -> Block:
    """Set `text` at the largest size of whole pixels from `smallest` to `largest` at which it fits `width` x `height`.

    `setting.size` is not looked at. Raises OverflowingError where it does not fit at the smallest, UndrawableError.
    """
    shaped = shape(text, setting)
    measure, room = (height, width) if setting.direction == "vertical" else (width, height)
    low, high = math.ceil(smallest), math.floor(largest)
    if not _fits(shaped, setting, low, measure, room):
        raise OverflowingError(f"the text does not fit {width:.0f}x{height:.0f} pixels at size {low}")
    while low < high:  # a text that fits at one size fits at all smaller ones but for rare line breaks
        middle = (low + high + 1) // 2
        if _fits(shaped, setting, middle, measure, room):
            low = middle
        else:
            high = middle - 1
    return place(shaped, replace(setting, size=float(low)), measure)


def balanced(text: str, setting: Setting, measure: float) -> Block:
    """Set `text` in as few lines as `measure` pixels allow, all about equally long: no lonely word in the last.

    Raises OverflowingError, UndrawableError.
    """
    shaped = shape(text, setting)
    advance = advances(shaped, setting.tracking)
    size = setting.size
    count = len(break_lines(shaped, advance, measure / size))
    low, high = measure / size / 2, measure / size
    for _ in range(8):
        middle = (low + high) / 2
        try:
            narrow = len(break_lines(shaped, advance, middle)) > count
        except OverflowingError:
            narrow = True
        low, high = (middle, high) if narrow else (low, middle)
    return place(shaped, setting, high * size)


def _fits(shaped: Shaped, setting: Setting, size: int, measure: float, room: float) -> bool:
    try:
        lines = break_lines(shaped, advances(shaped, setting.tracking), measure / size)
    except OverflowingError:
        return False
    return len(lines) * setting.leading * size <= room
