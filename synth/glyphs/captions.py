"""What is said of a picture of a few characters: short, quoting them; and with the place and the size named.

Every word outside the quotation is something to learn, so there are few (docs/learn.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from synth.glyphs.look import CENTRED_EM, FREE_EM, PAIRS, Look

CELLS = 16  # columns, and rows, by which an exact caption tells the middle of the ink

#: By thirds of the room that the ink has, (down, across).
_PLACES: dict[tuple[int, int], tuple[str, str]] = {
    (0, 0): ("at the top left", "左上方"),
    (0, 1): ("at the top", "上方"),
    (0, 2): ("at the top right", "右上方"),
    (1, 0): ("at the left", "左侧"),
    (1, 1): ("in the centre", "中央"),
    (1, 2): ("at the right", "右侧"),
    (2, 0): ("at the bottom left", "左下方"),
    (2, 1): ("at the bottom", "下方"),
    (2, 2): ("at the bottom right", "右下方"),
}
_SIZES = (("small", "小号"), ("medium", "中号"), ("large", "大号"))


def place(look: Look) -> str:
    """Where the ink stands, in English: one of nine."""
    return _place(look)[0]


def size(look: Look, side: int) -> str:
    """small, medium or large: thirds of the sizes there are."""
    return _size(look, side)[0]


def captions(text: str, look: Look) -> dict[str, str]:
    """By language; colours are told unless they are black on white."""
    ink, ground = "", ""
    if look.pair != PAIRS[0]:
        ink, ground = f"{look.pair.name[0][0]} ", f" on {look.pair.name[0][1]}"
    english = f"The {ink}{'character' if len(text) == 1 else 'characters'} “{text}”{ground}."
    ink, ground = "", ""
    if look.pair != PAIRS[0]:
        ink, ground = look.pair.name[1][0], f"{look.pair.name[1][1]}背景上的"
    return {"en": english, "zh": f"{ground}{ink}字符“{text}”。"}


def placed_captions(text: str, look: Look, side: int) -> Mapping[str, str]:
    """The same with the size and the place named, by language."""
    size, where = _size(look, side), _place(look)
    plain = captions(text, look)
    noun = "character" if len(text) == 1 else "characters"
    english = plain["en"].replace(noun, f"{size[0]} {noun}", 1).removesuffix(".")
    chinese = plain["zh"].removesuffix("。").replace("字符", f"{size[1]}字符", 1)
    return {"en": f"{english} {where[0]}.", "zh": f"{chinese}，位于{where[1]}。"}


def exact_caption(text: str, em: int, middle: tuple[float, float], side: int) -> str:
    """`“水” 40 at c 5`: the size in 64ths of the side, in steps of four, and the cell of 16 x 16 that the middle of the
    ink is in, columns by letters from the left, rows by numbers from the top."""
    column, row = (min(CELLS - 1, int(place * CELLS / side)) for place in middle)
    return f"“{text}” {em * 64 // side // 4 * 4} at {chr(ord('a') + column)} {row + 1}"


def _place(look: Look) -> tuple[str, str]:
    if look.across is None or look.down is None:
        return _PLACES[1, 1]
    return _PLACES[min(2, int(3 * look.down)), min(2, int(3 * look.across))]


def _size(look: Look, side: int) -> tuple[str, str]:
    low, high = (round(share * side) for share in FREE_EM)
    em = min(look.em, round(CENTRED_EM * side))
    return _SIZES[min(2, max(0, 3 * (em - low) // (high - low + 1)))]
