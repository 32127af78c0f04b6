"""What an edit is told by: the same change in English and in Chinese, naming what was and what is to be."""

from __future__ import annotations

from typing import Literal

import numpy as np

from synth.quoting import Language, quote

Kind = Literal["word", "colour", "font", "position", "language"]
#: What goes into a template, by language.
Told = dict[Language, dict[str, str]]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_TEMPLATES: dict[Kind, tuple[tuple[str, str], ...]] = {
    "word": (
        ("Change the word {old} to {new} in the text {text}.", "把文字{text}中的{old}改成{new}。"),
        ("Replace {old} with {new} in {text}, keep everything else.", "将{text}里的{old}替换为{new}，其余保持不变。"),
        ("In the line {text}, write {new} instead of {old}.", "在{text}这一行中，用{new}代替{old}。"),
    ),
    "colour": (
        ("Change the colour of the text {text} from {old} to {new}.", "把文字{text}的颜色从{old}改为{new}。"),
        ("Make the words {text} {new} instead of {old}.", "让{text}这几个字由{old}变成{new}。"),
        ("Recolour {text} in {new}.", "将{text}改成{new}。"),
    ),
    "font": (
        ("Set the text {text} in {new} type instead of {old}.", "把文字{text}的字体从{old}换成{new}。"),
        ("Change the font of {text} to {new} type.", "将{text}改用{new}。"),
        ("Rewrite {text} in {new} type, same words and colour.", "用{new}重新排{text}，内容和颜色不变。"),
    ),
    "position": (
        ("Move the text {text} from {old} to {new}.", "把文字{text}从{old}移到{new}。"),
        ("Place {text} at {new} instead of at {old}.", "将{text}放到{new}，而不是{old}。"),
        ("Shift {text} to {new}.", "把{text}移动到{new}。"),
    ),
    "language": (
        ("Translate the text {text} into {language}: {new}.", "把文字{text}翻译成{language}：{new}。"),
        ("Replace {text} by its {language} version {new}.", "将{text}换成{language}版本{new}。"),
    ),
}


def instruct(rng: np.random.Generator, kind: Kind, told: Told) -> dict[str, str]:
    """The instruction by language. `told`: by language what goes into the templates; `text` and, for words, `old` and
    `new` are quoted here."""
    found = _TEMPLATES[kind]
    both = found[int(rng.integers(len(found)))]
    out: dict[str, str] = {}
    for language, template in zip(LANGUAGES, both, strict=True):
        parts = dict(told[language])
        for part in ("text", *(("old", "new") if kind == "word" else ("new",) if kind == "language" else ())):
            parts[part] = quote(parts[part], language)
        out[language] = template.format(**parts)
    return out
