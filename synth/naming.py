"""What captions call colours and kinds of type, in English and Chinese."""

from __future__ import annotations

from synth.draw.paint import Colour
from synth.fonts.facts import Kind

#: Kinds of type, as adjectives: "sans-serif letters", "黑体".
LETTERS: dict[Kind, dict[str, str]] = {
    "sans": {"en": "sans-serif", "zh": "黑体"},
    "serif": {"en": "serif", "zh": "宋体"},
    "kai": {"en": "brush-style", "zh": "楷体"},
    "mono": {"en": "monospaced", "zh": "等宽体"},
    "hand": {"en": "handwritten-style", "zh": "手写体"},
    "display": {"en": "decorative", "zh": "美术体"},
    "symbol": {"en": "symbol", "zh": "符号体"},
}
_COLOURS: tuple[tuple[str, str, Colour], ...] = (
    ("black", "黑色", (22, 22, 24)),
    ("dark grey", "深灰色", (78, 80, 84)),
    ("grey", "灰色", (140, 142, 146)),
    ("white", "白色", (246, 246, 244)),
    ("cream", "米白色", (242, 234, 208)),
    ("red", "红色", (200, 30, 36)),
    ("dark red", "深红色", (124, 20, 24)),
    ("crimson", "玫红色", (158, 42, 85)),
    ("orange", "橙色", (250, 130, 30)),
    ("orange-brown", "橙褐色", (181, 101, 29)),
    ("yellow", "黄色", (250, 216, 80)),
    ("gold", "金色", (224, 184, 96)),
    ("green", "绿色", (60, 190, 100)),
    ("dark green", "深绿色", (18, 84, 58)),
    ("light green", "浅绿色", (176, 230, 176)),
    ("teal", "青色", (29, 111, 120)),
    ("blue", "蓝色", (36, 96, 200)),
    ("dark blue", "深蓝色", (22, 36, 100)),
    ("light blue", "浅蓝色", (120, 196, 244)),
    ("purple", "紫色", (130, 60, 170)),
    ("dark purple", "深紫色", (78, 38, 98)),
    ("pink", "粉色", (250, 130, 180)),
    ("brown", "棕色", (100, 58, 30)),
    ("dark brown", "深棕色", (48, 28, 16)),
)
_WEIGHTS = (2, 4, 3)  # of red, green and blue in a distance that eyes agree with


def colour_names(colour: Colour) -> dict[str, str]:
    """The nearest of two dozen names, by language."""

    def distance(known: Colour) -> int:
        return sum(w * (a - b) ** 2 for w, a, b in zip(_WEIGHTS, known, colour, strict=True))

    english, chinese, _ = min(_COLOURS, key=lambda entry: distance(entry[2]))
    return {"en": english, "zh": chinese}
