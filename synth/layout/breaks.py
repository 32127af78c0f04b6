"""Where a line may break: kinsoku for Chinese and Japanese, whole words for the rest. Words are never hyphenated.

A table over pairs of classes, after Unicode Standard Annex 14 and the requirements for Chinese and Japanese text layout
(W3C clreq, JLReq): no closing mark, small kana or iteration mark begins a line, no opening mark ends one, and doubled
marks such as …… and —— stay together.
"""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

CLASSES = ["ID", "AL", "NU", "OP", "CLW", "CLA", "NS", "IN", "SP", "GL", "QU", "HY", "PR", "PO", "BK", "ZW"]
ID, AL, NU, OP, CLW, CLA, NS, IN, SP, GL, QU, HY, PR, PO, BK, ZW = range(len(CLASSES))

_OPENING = frozenset("([{（［｛〔〈《「『【〘〖〝⦅“‘｟«‹¿¡﹙﹛﹝（︵︷︹︻︽︿﹁﹃﹇")
_CLOSING_WIDE = frozenset("）］｝〕〉》」』】〙〗〞〟⦆｠、。，．：；？！，。､｡｣︶︸︺︼︾﹀﹂﹄﹈︐︑︒︓︔︕︖")
_CLOSING = frozenset(")]}”’»›,.:;!?؟،؛।॥")
_NO_START = frozenset(
    "々〻ゝゞヽヾーぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ・·‧~〜～‐゠–‖"
)
_LEADERS = frozenset("…‥—―⸺⸻")
_PREFIXES = frozenset("$£¥€￥＄￡#＃+±№")
_POSTFIXES = frozenset("%‰℃℉°′″％¢￠")
#: What may not stand first in a line, and what may not stand last.
NO_LINE_START = _CLOSING_WIDE | _CLOSING | _NO_START | _LEADERS | _POSTFIXES
NO_LINE_END = _OPENING | _PREFIXES


def break_class(character: str) -> int:
    """The class of a character, an index into CLASSES."""
    if character in "\n\r\v\f\x85\u2028\u2029":
        return BK
    if character == "\u200b":
        return ZW
    if character in "\u00a0\u202f\u2007\u2060\ufeff":
        return GL
    if character.isspace():
        return SP
    for members, kind in (
        (_OPENING, OP),
        (_CLOSING_WIDE, CLW),
        (_CLOSING, CLA),
        (_NO_START, NS),
        (_LEADERS, IN),
        (_PREFIXES, PR),
        (_POSTFIXES, PO),
    ):
        if character in members:
            return kind
    if character in "\"'":
        return QU
    if character in "-‐/":
        return HY
    category = unicodedata.category(character)
    if category == "Nd" and unicodedata.east_asian_width(character) != "F":
        return NU
    if category in ("Ps", "Pi"):
        return OP
    if category in ("Pe", "Pf"):
        return CLA
    return ID if unicodedata.east_asian_width(character) in "WF" else AL


def _table() -> NDArray[np.bool_]:
    """[before, after]: whether a line may break between them."""
    wide, narrow = (ID, CLW, NS, IN, PO), (AL, NU, QU)
    may = np.zeros((len(CLASSES), len(CLASSES)), dtype=bool)
    for before in wide:
        may[before, [ID, OP, PR]] = True
    for before in (ID, CLW, NS, IN):
        may[before, [AL, NU]] = True
    for before in narrow:
        may[before, ID] = True
    may[CLA, [ID, OP, PR]] = True
    may[CLA, OP] = False  # "f(x)(y)": Latin brackets do not part without a blank
    may[HY, [AL, ID]] = True
    may[SP] = True
    may[ZW] = True
    for never in (CLW, CLA, NS, IN, PO, GL, SP, BK, ZW):  # none of these begins a line
        may[:, never] = False
    may[OP], may[PR], may[GL] = False, False, False  # and none of these ends one
    may[[QU, PR], QU] = False
    may[BK] = True
    return may


_MAY = _table()


def may_break_after(kinds: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(n,): whether a line may end after each cluster; it always may after the last."""
    out = np.ones(len(kinds), dtype=bool)
    out[:-1] = _MAY[kinds[:-1], kinds[1:]]
    # Blanks do not shield a closing mark: it must not come to the start of a line, nor an opening one to the end.
    for n in np.flatnonzero(kinds[:-1] == SP):
        before = n
        while before >= 0 and kinds[before] == SP:
            before -= 1
        if before >= 0 and kinds[before] in (OP, PR) and kinds[n + 1] != BK:
            out[n] = False
    return out


def words(kinds: NDArray[np.int8], han: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(n,) number of the word that each cluster is in, -1 for blanks and marks.

    A word is a run of letters and digits with the apostrophes and hyphens inside; each ideograph is one by itself, as
    nothing here tells where Chinese words end.
    """
    out = np.full(len(kinds), -1, dtype=np.int32)
    word, inside = -1, False
    alone = (kinds == ID) & han
    if alone.all():
        return np.arange(len(kinds), dtype=np.int32)
    for n, kind in enumerate(kinds.tolist()):
        if kind in (AL, NU):
            word += not inside
            inside = True
            out[n] = word
        elif kind in (ID, NS) and han[n]:
            word += 1
            inside = False
            out[n] = word
        elif inside and kind in (QU, HY, CLA, GL) and n + 1 < len(kinds) and kinds[n + 1] in (AL, NU) and kind != GL:
            out[n] = word  # don't, well-known, 3.14
        else:
            inside = False
    return out
