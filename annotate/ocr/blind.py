"""Characters that an OCR misreads even on a clean reference glyph: no rule may ask it for them.

A character is drawn alone, and where that is misread three times in a row, in each of the fonts that have it; it is
blind where no font's glyph is read right. The list of the bundled networks comes with this module; for others
`glyphmill ocr blind` makes one, and `blind` in [ocr] of models.toml names it. Letters and digits are read by their
neighbours and so are not tested.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from annotate import models
from annotate.ocr import reader as ocr
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image, ImageFont

GLYPH_PX = 64
MARGIN_PX = 12
BUNDLED_LIST = Path(__file__).with_name("blind.tsv")
_HEADING = "# misread by recogniser "
_NOWHERE = "\U000f1234"  # private use: every font draws what stands for a character it lacks


@dataclass(frozen=True)
class Misread:
    """A blind character and what it was last read as, which may be nothing."""

    character: str
    read_as: str


@dataclass(frozen=True)
class Tested:
    """`misread`: blind characters. `absent`: those that no font has, of which nothing is known."""

    misread: tuple[Misread, ...]
    absent: tuple[str, ...]
    tested: int


def default_characters() -> str:
    """The 20,902 Chinese characters of GBK, simplified and traditional, in code order."""
    return "".join(chr(code) for code in range(0x4E00, 0x9FA6))


def characters_in(file: Path) -> str:
    """The distinct characters of a text file, spaces aside, sorted. Raises UsageError where it cannot be read."""
    try:
        found = sorted({c for c in file.read_text(encoding="utf-8") if not c.isspace()})
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as UTF-8 text: {error}") from error
    if not found:
        raise UsageError(f"{file} has no characters to test")
    return "".join(found)


def measure(
    reader: ocr.Reader,
    characters: Iterable[str],
    fonts: Sequence[Path],
    step: Callable[[int], None] = lambda done: None,
) -> Tested:
    """Draw each character in each font until one is read right. Raises UsageError for a file that is no font."""
    faces = [face for path in fonts for face in _faces(path)]
    if not faces:
        raise UsageError("name at least one font file that has the characters: --font FILE")
    misread: list[Misread] = []
    absent: list[str] = []
    count = 0
    for character in characters:
        count += 1
        step(count)
        read = list(_attempts(reader, character, faces))
        if not read:
            absent.append(character)
        elif not any(same for same, _ in read):
            misread.append(Misread(character, read[0][1]))
    return Tested(tuple(misread), tuple(absent), count)


def _attempts(
    reader: ocr.Reader, character: str, faces: Sequence[ImageFont.FreeTypeFont]
) -> Iterator[tuple[bool, str]]:
    """(right, as what) of one attempt after another, up to the first that is right; none where no font has it."""
    for face in faces:
        if not _has(face, character):
            continue
        for text in (character, character * 3):
            read = _plain(reader.read_line(glyphs(text, face))[0])
            right = read == _plain(text)
            yield right, read
            if right:
                return


def glyphs(text: str, face: ImageFont.FreeTypeFont) -> Image.Image:
    """Black on white, MARGIN_PX of paper around."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = face.getbbox(text)
    size = (round(right - left) + 2 * MARGIN_PX, round(bottom - top) + 2 * MARGIN_PX)
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((MARGIN_PX - left, MARGIN_PX - top), text, font=face, fill="black")
    return image


def blind_characters() -> frozenset[str]:
    """What the configured OCR is blind to. Raises UsageError where it has no list, or one of another recogniser."""
    return frozenset(entry.character for entry in _read(_file()))


def stamp() -> str:
    """Changes with the list: belongs into the version of what was measured with it. Raises UsageError."""
    chosen = ocr.settings()
    return f"blind list {len(blind_characters())} of {recogniser(chosen)}"


def missing() -> str | None:
    """What is missing to know the blind characters, in one line, or None."""
    lacking = ocr.missing()
    if lacking:
        return lacking
    try:
        blind_characters()
    except UsageError as error:
        return str(error)
    return None


def entries() -> tuple[Misread, ...]:
    """The list of the configured OCR. Raises UsageError as `blind_characters`."""
    return _read(_file())


def write(path: Path, misread: Sequence[Misread], chosen: ocr.Settings) -> None:
    """Write a list for `blind` in [ocr]: a heading that names the recogniser, then character, tab, reading."""
    rows = [f"{entry.character}\t{entry.read_as}" for entry in misread]
    path.write_text("\n".join([_HEADING + recogniser(chosen), *rows]) + "\n", encoding="utf-8")


def _file() -> Path:
    chosen = ocr.settings()
    file = chosen.blind or BUNDLED_LIST
    if not file.is_file():
        raise UsageError(f"[ocr] in {models.path()}: no list of blind characters at {file}")
    heading = _heading(file, file.stat().st_mtime_ns)
    if heading != recogniser(chosen):
        raise UsageError(
            f"no list of what this OCR misreads ({file} is of recogniser {heading}): make one with "
            "`glyphmill ocr blind --font FILE --out blind.tsv` and name it by blind in [ocr] of models.toml"
        )
    return file


def recogniser(chosen: ocr.Settings) -> str:
    """First hex digits of the hash of the network that reads lines: whose list it is."""
    return ocr.networks(chosen).split(" rec ")[1]


@cache
def _heading(file: Path, changed: int) -> str:
    first = file.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix(_HEADING) if first.startswith(_HEADING) else "unknown"


def _read(file: Path) -> tuple[Misread, ...]:
    return _parsed(file, file.stat().st_mtime_ns)


@cache
def _parsed(file: Path, changed: int) -> tuple[Misread, ...]:
    found: list[Misread] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()[1:], 2):
        character, tab, read_as = line.partition("\t")
        if not tab or len(character) != 1:
            raise UsageError(f"{file} line {number}: wanted one character, a tab and what it is read as")
        found.append(Misread(character, read_as))
    return tuple(found)


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _has(face: ImageFont.FreeTypeFont, character: str) -> bool:
    drawn = face.getmask(character)
    lacking = face.getmask(_NOWHERE)
    return drawn.getbbox() is not None and (drawn.size != lacking.size or bytes(drawn) != bytes(lacking))


def _faces(path: Path) -> list[ImageFont.FreeTypeFont]:
    from PIL import ImageFont

    try:
        return [ImageFont.truetype(str(path), GLYPH_PX)]
    except OSError as error:
        raise UsageError(f"{path} is no font that can be read: {error}") from error
