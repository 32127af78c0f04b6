"""Which characters are drawn: 86 of our own, or those of a file."""

from __future__ import annotations

from pathlib import Path

from warehouse.errors import UsageError

LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
#: Fifty Chinese characters of the standard's first level, from three strokes to thirteen.
CHINESE = "人大中国山水天地日月火木金土风云雨雪花鸟鱼马牛羊春夏秋冬东西南北左右高明红黄青白黑书学生心爱家车电新"
DEFAULT = tuple(LATIN + DIGITS + CHINESE)
#: Quotation marks: a caption could not quote them.
MARKS = frozenset("“”‘’\"'「」『』«»")


def read_characters(path: Path) -> tuple[str, ...]:
    """Every character of a UTF-8 text file but blanks, each once, in the file's order. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--chars {path} cannot be read as UTF-8 text: {error}") from error
    found = tuple(dict.fromkeys(c for c in text if not c.isspace() and c != "\ufeff"))
    if not found:
        raise UsageError(f"--chars {path} holds no characters")
    return found
