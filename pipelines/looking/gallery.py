"""Gallery: contact sheets of what each rule drops and what is kept, to be looked at by a person.

Which pictures is what the view `stage_gallery` says: a few of each rule, chosen by hash, the same on every run. They
are drawn from the original bytes, upright, with the values that the rule judged them by.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pipelines.recipe import stored_tables
from pipelines.signals import known_signals, relation
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.sources import ImageReader
from warehouse.sources.files import UnreadableError

CELL = (176, 132)  # pixels of a thumbnail at most
GAP, MARGIN, HEAD, FOOT = 12, 28, 56, 34
MOST_SIGNALS = 2  # values under a picture
PAPER, INK, FAINT, FRAME = "#fbfaf7", "#22303c", "#7d8a94", "#e4e2dc"
COLOURS = {"dropped": "#b03a2e", "duplicate": "#9a6b14", "left out": "#5b6b8c", "kept": "#1f7a4d"}


@dataclass(frozen=True)
class Shown:
    """One picture: where its bytes are, and what is written under it."""

    image_id: str
    uri: str
    offset: int | None
    length: int | None
    row: int
    told: str


@dataclass(frozen=True)
class Group:
    """The pictures of one rule. `images`: how many there are in all; `stage` None: no stage's rule decided."""

    stage: int | None
    rule: str
    outcome: str
    images: int
    predicate: str
    shown: tuple[Shown, ...]


def gallery(lake: Lake, out: Path, *, each: int = 8, columns: int = 8) -> list[Path]:
    """Draw the gallery of the recipe decided with last; returns the files written.

    `out`: a .png, .jpg or .webp file for one sheet of all rules, else a folder that gets one sheet a rule. `each`: at
    most so many pictures a rule, 24 at most. Raises LakeError where nothing was decided yet.
    """
    with lake.connect(read_only=True) as con:
        groups = find_groups(con, each)
    if not groups:
        raise LakeError("nothing is decided in this lake yet: run glyphmill decide first")
    with ImageReader() as reader:
        if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"):
            out.parent.mkdir(parents=True, exist_ok=True)
            sheet(groups, reader, columns).save(out)
            return [out]
        out.mkdir(parents=True, exist_ok=True)
        files = []
        for group in groups:
            file = out / f"{_file_name(group)}.png"
            sheet([group], reader, columns).save(file)
            files.append(file)
        return files


def find_groups(con: duckdb.DuckDBPyConnection, each: int) -> list[Group]:
    """The groups of the view `stage_gallery`, in its order, with the values of the signals that each rule reads."""
    rules = {rule["name"]: rule for (rule,) in con.execute("SELECT unnest(rules) FROM current_recipe").fetchall()}
    rows = con.execute(
        'SELECT stage, rule, outcome, images, image_id, uri, "offset", length, "row" FROM stage_gallery '
        "WHERE place <= ? ORDER BY stage NULLS LAST, outcome DESC, rule, place",
        [each],
    ).fetchall()
    values = _values(con, rules, rows)
    found = []
    for (stage, rule, outcome, images), members in groupby(rows, key=lambda row: row[:4]):
        shown = tuple(
            Shown(image_id, uri, offset, length, number, values.get((rule, image_id), ""))
            for *_, image_id, uri, offset, length, number in members
        )
        predicate = rules[rule]["predicate"] if outcome == "dropped" and rule in rules else ""
        found.append(Group(stage, rule, outcome, images, predicate, shown))
    return found


def sheet(groups: Sequence[Group], reader: ImageReader, columns: int) -> Image.Image:
    """One picture with a band per group: a heading, then its thumbnails in rows of `columns`."""
    widest = min(columns, max(len(group.shown) for group in groups))
    width = 2 * MARGIN + max(4, widest) * (CELL[0] + GAP) - GAP
    bands = [HEAD + -(-len(g.shown) // columns) * (CELL[1] + FOOT + GAP) for g in groups]
    paper = Image.new("RGB", (width, 2 * MARGIN + sum(bands)), PAPER)
    draw = ImageDraw.Draw(paper)
    top = MARGIN
    for group, height in zip(groups, bands, strict=True):
        _heading(draw, group, top, width)
        for number, shown in enumerate(group.shown):
            left = MARGIN + number % columns * (CELL[0] + GAP)
            _cell(paper, draw, shown, reader, left, top + HEAD + number // columns * (CELL[1] + FOOT + GAP))
        top += height
    return paper


def thumbnail(data: bytes, size: tuple[int, int] = CELL) -> Image.Image:
    """An upright RGB thumbnail that fits `size`, transparency on white. Raises OSError or ValueError for bytes that are
    no picture."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", size)  # JPEG: decode at the smallest scale that is large enough
        upright = ImageOps.exif_transpose(image)
        if upright.mode not in ("RGB", "L"):
            upright = upright.convert("RGBA")
            ground = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(ground, upright)
        return ImageOps.contain(upright.convert("RGB"), size, Image.Resampling.LANCZOS)


def _heading(draw: ImageDraw.ImageDraw, group: Group, top: int, width: int) -> None:
    colour = COLOURS[group.outcome]
    draw.rectangle((MARGIN, top + 4, MARGIN + 4, top + 38), fill=colour)
    stage = f"stage {group.stage}: " if group.stage is not None else ""
    title = f"{stage}{group.rule}"
    draw.text((MARGIN + 14, top), title, fill=INK, font=_font(18))
    at = MARGIN + 14 + draw.textlength(title, font=_font(18)) + 12
    count = f"{group.images:,} image{'' if group.images == 1 else 's'}"
    told = count if group.outcome == group.rule else f"{group.outcome}, {count}"
    draw.text((at, top + 4), told, fill=colour, font=_font(14))
    predicate = _cut(draw, " ".join(group.predicate.split()), width - 2 * MARGIN - 14, 12)
    draw.text((MARGIN + 14, top + 26), predicate, fill=FAINT, font=_font(12))


def _cell(
    paper: Image.Image, draw: ImageDraw.ImageDraw, shown: Shown, reader: ImageReader, left: int, top: int
) -> None:
    draw.rectangle((left - 1, top - 1, left + CELL[0], top + CELL[1]), fill="white", outline=FRAME)
    try:
        picture = thumbnail(reader.read(shown.uri, shown.offset, shown.length, shown.row))
    except (UnreadableError, OSError, ValueError) as error:
        draw.text(
            (left + 8, top + 8), _cut(draw, f"not readable: {error}", CELL[0] - 16, 11), fill=FAINT, font=_font(11)
        )
    else:
        paper.paste(picture, (left + (CELL[0] - picture.width) // 2, top + (CELL[1] - picture.height) // 2))
    draw.text((left, top + CELL[1] + 3), shown.image_id[:12], fill=FAINT, font=_font(11))
    draw.text((left, top + CELL[1] + 16), _cut(draw, shown.told, CELL[0], 11), fill=INK, font=_font(11))


def _values(
    con: duckdb.DuckDBPyConnection, rules: dict[str, dict[str, object]], rows: Sequence[tuple[object, ...]]
) -> dict[tuple[str, str], str]:
    """What is written under each picture, by rule and image: the values of the first signals that the rule reads."""
    known = known_signals(stored_tables(con))
    read = {
        name: [known[s] for s in rule["signals"] if s in known][:MOST_SIGNALS]  # type: ignore[attr-defined]
        for name, rule in rules.items()
    }
    wanted = {(str(row[1]), str(row[4])) for row in rows if row[2] == "dropped" and row[1] in read}
    found: dict[tuple[str, str], str] = {}
    for rule in sorted({name for name, _ in wanted if read[name]}):
        ids = sorted(image_id for name, image_id in wanted if name == rule)
        query = f"SELECT * FROM ({relation(read[rule], 'lake.')}) WHERE list_contains($1::VARCHAR[], image_id)"
        for image_id, *values in con.execute(query, [ids]).fetchall():
            told = (f"{signal.name} {_short(value)}" for signal, value in zip(read[rule], values, strict=True))
            found[rule, image_id] = ", ".join(told)
    return found


def _short(value: object) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """The text, or as much of it as fits."""
    if draw.textlength(text, font=_font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", font=_font(size)) > width:
        text = text[:-1]
    return text + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _file_name(group: Group) -> str:
    stage = f"stage-{group.stage}-" if group.stage is not None else ""
    return re.sub(r"[^\w-]+", "-", f"{stage}{group.rule}").strip("-").lower()
