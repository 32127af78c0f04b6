"""Captions of drawn pictures, composed from what is known of them, in English and Chinese.

A caption is made with `<>` where the writing goes and filled last, so that nothing that words a caption ever retypes
the text. The quotation marks are chosen so that annotate/captions/quotes.py finds exactly the text between them, also
where it has quotation marks of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annotate.captions.quotes import quoted
from synth.draw.paint import Colour
from synth.fonts.facts import Kind
from synth.naming import LETTERS, colour_names
from synth.quoting import BEGINS, MARKS, Language, quotable

#: What a way of writing is called: English participle and preposition, Chinese verb.
WAYS: dict[str, tuple[str, str]] = {
    "printed": ("printed on", "印着"),
    "handwritten": ("handwritten on", "手写着"),
    "painted": ("painted on", "漆着"),
    "burnt": ("burnt into", "烙着"),
    "carved": ("carved into", "刻着"),
    "engraved": ("engraved on", "刻着"),
    "enamelled": ("enamelled on", "印着"),
    "raised": ("in raised letters on", "凸起地刻着"),
    "embroidered": ("embroidered on", "绣着"),
    "screen-printed": ("screen-printed on", "印着"),
    "etched": ("etched into", "蚀刻着"),
    "vinyl": ("in vinyl lettering on", "贴着"),
    "chalked": ("written in chalk on", "用粉笔写着"),
    "marker": ("written in marker on", "用马克笔写着"),
    "glowing": ("glowing in neon on", "用霓虹灯管拼出"),
    "lit": ("lit up on", "亮着"),
    "displayed": ("displayed on", "显示着"),
}
_PLACES: dict[str, tuple[str, str]] = {
    "left": ("on the left", "左侧"), "right": ("on the right", "右侧"), "center": ("in the middle", "中央"),
    "top": ("at the top", "上方"), "bottom": ("at the bottom", "下方"), "top left": ("in the upper left", "左上方"),
    "top right": ("in the upper right", "右上方"), "bottom left": ("in the lower left", "左下方"),
    "bottom right": ("in the lower right", "右下方"), "front": ("in the foreground", "前景处"),
}  # fmt: skip
_STANCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stands": (("stands", "is set up"), ("立着", "竖着")),
    "hangs": (("hangs", "is fixed"), ("挂着", "固定着")),
    "near": (("stands", "can be seen"), ("立着", "有")),
    "lies": (("lies", "has been laid down"), ("平放着", "放着")),
}

_BLURRED = {
    "en": (
        " The scene is out of focus.",
        " All of this lies blurred in the background.",
        " The background is blurred.",
    ),
    "zh": ("，背景虚化", "，这些都虚化在背景中", "，背景模糊"),
}
_EN_SCENE = (
    "{scene} {Place} {stance} {surface} that reads <>{in_colour}.",
    "{scene} {Surface} {stance} {place}, with <> {way} it{in_colour}.",
    "{scene} {Place} there is {surface}; <> is {way} it{in_colour}.",
    "{scene} {Surface} {place} bears the words <>{in_colour}.",
    "{scene} {Place}, {surface} says <>{in_colour}.",
    "{scene} Written on {surface} {place}: <>{in_colour}.",
    "{scene} One can read <> on {surface} {place}{in_colour}.",
    "{scene} {Place} {stance} {surface}, <> {way} it{in_colour}.",
    "{scene} The text <> is {way} {surface} that {stance} {place}{in_colour}.",
)
_EN_ALONE = (
    "A photograph in which {surface} {stance} {place}, with <> {way} it{in_colour}.",
    "{Surface} {stance} {place} of the picture; it reads <>{in_colour}.",
    "{Place} of the photograph there is {surface} that says <>{in_colour}.",
    "A photo with {surface} {place}; the text <> is {way} it{in_colour}.",
    "{Place} {stance} {surface} with the words <>{in_colour}.",
    "<> is {way} {surface} {place}{in_colour}.",
)
_EN_CLOSE = (
    "A close-up of {surface} with <> {way} it{in_colour}.",
    "{Surface} fills the frame; <> is {way} it{in_colour}.",
    "{Surface} seen from nearby, the words <> {way} it{in_colour}.",
    "The text <>, {way} {surface}{in_colour}.",
    "A detailed photograph of {surface} that reads <>{in_colour}.",
    "<> {way} {surface}, photographed close up{in_colour}.",
)
_EN_DIRECT = (
    "{scene} {Place}, the words <> are painted straight on {surface}{in_colour}.",
    "{scene} <> is painted on {surface} {place}{in_colour}.",
    "{scene} {Surface} {place} carries the text <>{in_colour}.",
    "{scene} Somebody has painted <> on {surface} {place}{in_colour}.",
)
_ZH_SCENE = (
    "{scene}。画面{place}{stance}{surface}，上面{way}<>{in_colour}。",
    "{scene}。{place}{stance}{surface}，写的是<>{in_colour}。",
    "{scene}。画面{place}可以看到{surface}，{way}<>字样{in_colour}。",
    "{scene}，{place}{stance}{surface}，上面的文字是<>{in_colour}。",
    "{scene}。{place}的{surface}上{way}<>{in_colour}。",
    "{scene}。在画面{place}，{surface}上可以读到<>{in_colour}。",
    "{scene}，画面{place}还{stance}{surface}，{way}<>{in_colour}。",
)
_ZH_ALONE = (
    "照片{place}{stance}{surface}，上面{way}<>{in_colour}。",
    "一张照片，{place}有{surface}，{way}<>{in_colour}。",
    "画面{place}可以看到{surface}，上面的文字是<>{in_colour}。",
    "{place}{stance}{surface}，{way}<>字样{in_colour}。",
    "照片中，{place}的{surface}上写的是<>{in_colour}。",
)
_ZH_CLOSE = (
    "{surface}的特写，上面{way}<>{in_colour}。",
    "画面里是{surface}，{way}<>字样{in_colour}。",
    "近距离拍摄的{surface}，上面的文字是<>{in_colour}。",
    "{surface}占满画面，{way}<>{in_colour}。",
)
_ZH_DIRECT = (
    "{scene}。{place}的{surface}上直接漆着<>{in_colour}。",
    "{scene}。画面{place}，{surface}上写着<>{in_colour}。",
    "{scene}。画面{place}的{surface}被漆上了<>{in_colour}。",
)
_EN_MORE = ("It also reads {}.", "Below, one can read {}.", "Further words are {}.")
_ZH_MORE = ("另外还写着{}。", "下面还有{}。", "还可以看到{}。")


def caption(
    language: Language,
    rng: np.random.Generator,
    *,
    texts: Sequence[str],
    surface: str,
    scene: str = "",
    way: str = "printed",
    colour: Colour | None = None,
    letters: Kind | None = None,
    bold: bool = False,
    place: str = "center",
    stance: str = "stands",
    blurred: bool = False,
) -> str:
    """A caption that quotes every one of `texts`, the first as the main one; see synth/quoting.py for how.

    `surface`: what bears them, a noun phrase of the language ("a wooden board", "一块木牌"). `scene`: a caption of the
    rest of the picture in the language, empty for none. `way`: of WAYS. `letters`: a font's kind. `stance`: stands,
    hangs, lies, near, close (the surface is all there is to see) or direct (written on a thing of the scene).
    `blurred`: the scene is out of focus behind it.
    Raises ValueError where there is no text, or no quotation marks can hold one.
    """
    if not texts or not any(t.strip() for t in texts):
        raise ValueError("a caption wants a text to quote")
    scenes = (_ended(scene, language) + (_pick(rng, _BLURRED[language]) if blurred else ""), "") if scene else ("",)
    pattern = _pattern(language, rng, bool(scene), stance)
    more = _pick(rng, _EN_MORE if language == "en" else _ZH_MORE) if len(texts) > 1 else ""
    words = _words(language, rng, surface, way, colour, letters, bold, place, stance)
    wanted = [quotable(t) for t in texts if t.strip()]
    for scene_words in scenes:
        line = pattern.format(scene=scene_words, **words)
        if not scene_words:
            line = line.lstrip(" 。，")
            line = line[:1].upper() + line[1:]
        for marks in MARKS[language]:
            filled = _fill(line, more, wanted, marks, language)
            found = quoted(filled)
            if all(text in found for text, _ in wanted):
                return filled
    raise ValueError(f"no quotation marks can hold {wanted[0][0][:40]!r}")


def _pattern(language: Language, rng: np.random.Generator, scene: bool, stance: str) -> str:
    english = language == "en"
    if stance == "close":
        return _pick(rng, _EN_CLOSE if english else _ZH_CLOSE)
    if stance == "direct":
        return _pick(rng, _EN_DIRECT if english else _ZH_DIRECT)
    if scene:
        return _pick(rng, _EN_SCENE if english else _ZH_SCENE)
    return _pick(rng, _EN_ALONE if english else _ZH_ALONE)


def _words(
    language: Language, rng: np.random.Generator, surface: str, way: str, colour: Colour | None, letters: Kind | None,
    bold: bool, place: str, stance: str,
) -> dict[str, str]:  # fmt: skip
    which = 0 if language == "en" else 1
    where = _PLACES[place][which]
    stances = _STANCES.get(stance)
    style = [] if colour is None else [colour_names(colour)[language]]
    if letters in LETTERS and rng.random() < 0.6:
        style += (["bold"] if bold and which == 0 else []) + [LETTERS[letters][language]]
    if which == 0:
        in_colour = f", in {_joined(style)} letters" if style else ""
        if way == "raised":
            in_colour = ""
    else:
        in_colour = (
            f"，文字为{''.join(style)}" + ("字体" if style and not style[-1].endswith(("体", "色")) else "")
            if style
            else ""
        )
    return {
        "surface": surface,
        "Surface": surface[:1].upper() + surface[1:],
        "place": where,
        "Place": where[:1].upper() + where[1:],
        "stance": _pick(rng, stances[which]) if stances else "",
        "way": WAYS[way][which],
        "in_colour": in_colour,
    }


def _joined(style: Sequence[str]) -> str:
    return " ".join(style)


def _fill(line: str, more: str, texts: Sequence[tuple[str, bool]], marks: tuple[str, str], language: Language) -> str:
    """The writing put where `<>` stands; what is quoted may hold `<>` itself, so the line is cut there, never
    searched."""
    shown = []
    for text, is_whole in texts:
        shown.append(f"{'' if is_whole else BEGINS[language]}{marks[0]}{text}{marks[1]}")
    head, _, tail = line.partition("<>")
    filled = head + shown[0] + tail
    if more:
        filled += (" " if language == "en" else "") + more.format((", " if language == "en" else "、").join(shown[1:]))
    return filled


def _ended(scene: str, language: Language) -> str:
    scene = " ".join(scene.split()).rstrip(" .。")
    scene = scene.replace("<>", "")
    return f"{scene[:1].upper()}{scene[1:]}." if language == "en" else scene


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
