"""Shaping: a text to glyphs with their advances, once, in ems. Any size and any measure is arithmetic after that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import uharfbuzz as hb
from numpy.typing import NDArray

from synth.fonts.face import Face, FaceKey, open_face
from synth.layout import breaks
from synth.layout.block import Base, Direction, LayoutError, Setting, UndrawableError
from synth.layout.itemize import CHARACTERS, CONTROLS, Run, inked_glyphs, runs

#: Ligatures of Latin letters are left out: every character has a box of its own. Those that a script needs stay.
FEATURES = {"liga": False, "clig": False, "dlig": False}
#: Scripts whose letters join: room between them would tear words apart.
JOINED = frozenset({"Arab", "Syrc", "Mong", "Nkoo", "Deva", "Beng", "Guru"})
#: Baseline to the middle of the line of lying Latin in vertical text, ems: half of a capital's height.
MIDDLE = 0.35
#: Top of an ideograph's square to the baseline, ems, for a face without usable vertical metrics.
BASELINE = 0.88
_BLANK, _EMPTY = np.zeros((2, len(breaks.CLASSES)), dtype=bool)
_BLANK[[breaks.SP, breaks.BK, breaks.ZW]] = True
_EMPTY[[breaks.BK, breaks.ZW]] = True


@dataclass(frozen=True)
class Shaped:
    """A text as shaped, in ems; y goes down. Glyphs (m,) are in the order of their clusters, within one from left to
    right or top to bottom; `dx`, `dy`: the pen's place from the cluster's start on the baseline. Clusters (n,) are in
    logical order: `advance` along the line, `level` of bidi, `kind` of break class, `space` (nothing is drawn).
    """

    text: str
    face: NDArray[np.int32]
    glyph: NDArray[np.uint32]
    dx: NDArray[np.float64]
    dy: NDArray[np.float64]
    cluster: NDArray[np.int32]
    turned: NDArray[np.bool_]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    advance: NDArray[np.float64]
    level: NDArray[np.int8]
    kind: NDArray[np.int8]
    space: NDArray[np.bool_]
    joined: NDArray[np.bool_]
    breaks: NDArray[np.bool_]
    words: NDArray[np.int32]


def shape(text: str, setting: Setting) -> Shaped:
    """Shape `text` by the faces of `setting`, whose size does not matter. The few last results are kept.

    Raises UndrawableError where a character would be drawn as .notdef or as nothing, LayoutError for right-to-left
    text in vertical lines.
    """
    return _shape(text, setting.faces, setting.language, setting.direction, setting.base)


@lru_cache(maxsize=64)
def _shape(text: str, keys: tuple[FaceKey, ...], language: str, direction: Direction, base: Base) -> Shaped:
    text = CONTROLS.sub("", text)
    faces = tuple(open_face(key) for key in keys)
    vertical = direction == "vertical"
    found = runs(text, keys, vertical=vertical, base=base)
    if vertical and any(run.level % 2 for run in found):
        raise LayoutError("right-to-left text cannot be written in vertical lines")
    pieces = [_shape_run(text, run, faces[run.face], language) for run in found]
    return _gather(text, found, pieces, vertical)


@dataclass(frozen=True)
class _Piece:
    """Glyphs of one run, ordered by cluster: the cluster's start in the text, id, place; and the clusters' advances."""

    at: list[int]
    glyph: list[int]
    dx: list[float]
    dy: list[float]
    advances: dict[int, float]


def _shape_run(text: str, run: Run, face: Face, language: str) -> _Piece:
    buffer = hb.Buffer()
    buffer.add_str(text, run.start, run.end - run.start)
    buffer.direction = "ttb" if run.upright else "rtl" if run.level % 2 else "ltr"
    buffer.script = run.script
    buffer.language = language
    hb.shape(face.hb_font, buffer, FEATURES)
    infos, places, upem = buffer.glyph_infos, buffer.glyph_positions, face.upem
    at, ids, dx, dy, lacking = [], [], [], [], []
    advances: dict[int, float] = {}
    metrics = not run.upright or has_vertical_metrics(face.key)
    for info, (x_offset, y_offset, x_advance, y_advance) in zip(infos, (p.position for p in places), strict=True):
        start, glyph = info.cluster, info.codepoint
        if glyph == 0 and CHARACTERS[text[start]].seen:
            lacking.append(text[start])
        pen = advances.get(start, 0.0)
        at.append(start)
        ids.append(glyph)
        if run.upright and not metrics:
            dx.append(-face.hb_font.get_glyph_h_advance(glyph) / upem / 2)
            dy.append(BASELINE)
            advances[start] = 1.0
        elif run.upright:  # the pen goes down; offsets are from the top middle of the character
            dx.append(x_offset / upem)
            dy.append(pen - y_offset / upem)
            advances[start] = pen - y_advance / upem
        else:
            dx.append(pen + x_offset / upem)
            dy.append(-y_offset / upem)
            advances[start] = pen + x_advance / upem
    if lacking:
        raise UndrawableError("".join(dict.fromkeys(lacking)))
    _refuse_blank(text, run, face, at, ids)
    if run.level % 2:  # glyphs come from left to right, clusters in falling order; sorting is stable
        order = sorted(range(len(at)), key=at.__getitem__)
        at, ids, dx, dy = ([values[i] for i in order] for values in (at, ids, dx, dy))
    return _Piece(at, ids, dx, dy, advances)


@lru_cache(maxsize=256)
def has_vertical_metrics(key: FaceKey) -> bool:
    """Whether the face says how far apart ideographs stand in a column: that of some fonts is next to nothing."""
    font = open_face(key).hb_font
    glyph = font.get_nominal_glyph(ord("一"))
    return glyph is not None and 0.8 <= -font.get_glyph_v_advance(glyph) / open_face(key).upem <= 1.25


def _refuse_blank(text: str, run: Run, face: Face, at: list[int], ids: list[int]) -> None:
    """A character map may promise what the font does not draw: pinyin and ℃ of some, whole ideographs of others."""
    has_ink = inked_glyphs(face.key)
    blank = {start for start, glyph in zip(at, ids, strict=True) if not has_ink[glyph]}
    if blank:
        inked = {start for start, glyph in zip(at, ids, strict=True) if has_ink[glyph]}
        starts = sorted(set(at))
        for start, end in zip(starts, [*starts[1:], run.end], strict=True):
            if start in blank - inked and any(CHARACTERS[c].seen for c in text[start:end]):
                raise UndrawableError(text[start])


def _gather(text: str, found: list[Run], pieces: list[_Piece], vertical: bool) -> Shaped:
    at = np.array([a for p in pieces for a in p.at], dtype=np.int32)
    begins = np.ones(len(at), dtype=bool)  # runs and their clusters are in order
    begins[1:] = at[1:] != at[:-1]
    starts, cluster = at[begins], np.cumsum(begins) - 1
    ends = np.append(starts[1:], len(text)).astype(np.int32)
    advance = np.array([v for p in pieces for _, v in sorted(p.advances.items())], dtype=np.float64)
    glyphs = [len(p.at) for p in pieces]
    clusters = [len(p.advances) for p in pieces]
    kind = np.array([CHARACTERS[text[s]].kind for s in starts.tolist()], np.int8)
    space = _BLANK[kind]
    advance[_EMPTY[kind]] = 0.0
    drawn = ~space[cluster]  # a blank may come as .notdef: a line feed has no glyph
    return Shaped(
        text=text,
        face=np.repeat(np.array([run.face for run in found], dtype=np.int32), glyphs)[drawn],
        glyph=np.array([g for p in pieces for g in p.glyph], dtype=np.uint32)[drawn],
        dx=np.array([v for p in pieces for v in p.dx], dtype=np.float64)[drawn],
        dy=np.array([v for p in pieces for v in p.dy], dtype=np.float64)[drawn],
        cluster=cluster.astype(np.int32)[drawn],
        turned=np.repeat([vertical and not run.upright for run in found], glyphs).astype(bool)[drawn],
        starts=starts.astype(np.int32),
        ends=ends,
        advance=advance,
        level=np.repeat(np.array([run.level for run in found], dtype=np.int8), clusters),
        kind=kind,
        space=space,
        joined=np.repeat([run.script in JOINED for run in found], clusters).astype(bool),
        breaks=breaks.may_break_after(kind),
        words=breaks.words(kind, np.repeat([run.script == "Hani" for run in found], clusters).astype(bool)),
    )
