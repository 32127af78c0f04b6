"""Looking at what is drawn: contact sheets, and the truth drawn over the picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
from PIL import Image, ImageDraw

from pipelines.looking.contact_sheet import Tile, sheet
from pipelines.synthesising.unit import Drawer, draw_one
from synth.sample import Rejected, Sample
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources import ImageReader
from warehouse.sources.files import UnreadableError

COLUMNS = 8
#: Of the quadrilaterals: texts, lines, words, characters.
COLOURS = {"quad": "#d62728", "lines": "#1f77b4", "words": "#9467bd", "characters": "#2ca02c"}
LEAST_SIDE = 900  # pixels: smaller pictures are enlarged before boxes are drawn on them

Texts = Sequence[Mapping[str, Any]]


def drawn_sheet(drawer: Drawer, seed: int, count: int, start: int = 0, *, boxes: bool = False) -> Image.Image:
    """A sheet of samples drawn here and now; a rejected one is an empty tile that says why."""
    drawer.check()
    tiles: list[Tile] = []
    for index in range(start, start + count):
        found = draw_one(drawer, seed, index)
        if isinstance(found, Rejected):
            tiles.append(Tile(None, f"{index} {found.reason}"))
        elif isinstance(found, Sample):
            tiles.append(_tile(found, f"{index} {found.template}", boxes))
        else:
            tiles.append(_tile(found.reference, f"{index} reference", boxes))
            tiles.append(_tile(found.target, f"{index} {found.kind}", boxes))
    return sheet(tiles, COLUMNS)


def lake_sheet(lake: Lake, strategy: str | None, count: int, *, boxes: bool = False) -> Image.Image:
    """A sheet of samples of the lake, chosen by their ids. Raises UsageError where it has none."""
    told = "" if strategy is None else "WHERE t.strategy = $strategy"
    with lake.connect(read_only=True) as con:
        rows = _rows(con, f"{told} ORDER BY t.strategy, t.image_id LIMIT $count", strategy=strategy, count=count)
    if not rows:
        raise UsageError(f"{lake.root} has no synthetic images{f' of {strategy}' if strategy else ''}: glyphmill synth")
    return sheet(list(_tiles(rows, boxes)), COLUMNS)


def truth(lake: Lake, image_id: str) -> tuple[Image.Image, str]:
    """A sample with its truth drawn on it, and the same in words. `image_id`: or its start.

    Raises UsageError where there is no such synthetic image, or several.
    """
    with lake.connect(read_only=True) as con:
        rows = _rows(con, "WHERE starts_with(t.image_id, $id) ORDER BY ALL LIMIT 2", id=image_id)
    if len(rows) != 1:
        raise UsageError(f"{'no' if not rows else 'more than one'} synthetic image begins with {image_id}")
    (row,) = rows
    try:
        with ImageReader() as reader:
            picture = _read(reader, row)
    except UnreadableError as error:
        raise UsageError(f"{row['image_id']} cannot be read: {error}") from error
    return boxed(picture, row["texts"]), "\n".join(_words(row))


def boxed(picture: Image.Image, texts: Texts) -> Image.Image:
    """The picture with quadrilaterals of texts, lines and characters, enlarged where it is small."""
    scale = max(1, -(-LEAST_SIDE // max(picture.size)))
    page = picture.convert("RGB").resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(page)
    for text in texts:
        for level in ("characters", "lines"):
            for span in text[level] or ():
                _outline(pen, span["quad"], scale, COLOURS[level], 1 if level == "characters" else 2)
        _outline(pen, text["quad"], scale, COLOURS["quad"], 3)
    return page


def _outline(pen: ImageDraw.ImageDraw, quad: Sequence[float], scale: int, colour: str, width: int) -> None:
    points = [(x * scale, y * scale) for x, y in np.reshape(np.asarray(quad), (4, 2))]
    pen.line([*points, points[0]], fill=colour, width=width)
    x, y = points[0]
    pen.ellipse((x - width - 1, y - width - 1, x + width + 1, y + width + 1), fill=colour)  # its first corner


def _tile(sample: Sample, label: str, boxes: bool) -> Tile:
    picture = Image.fromarray(sample.image)
    return Tile(boxed(picture, [text.row() for text in sample.texts]) if boxes else picture, label)


def _tiles(rows: Sequence[Mapping[str, Any]], boxes: bool) -> Iterator[Tile]:
    with ImageReader() as reader:
        for row in rows:
            label = f"{row['strategy']} {row['index']} {row['template']}"
            try:
                picture = _read(reader, row)
            except UnreadableError as error:
                yield Tile(None, f"{label}: {error}")
                continue
            yield Tile(boxed(picture, row["texts"]) if boxes else picture, label)


def _rows(con: duckdb.DuckDBPyConnection, rest: str, **values: object) -> list[dict[str, Any]]:
    """Rows of `synth_truth` with the captions and the place of the bytes."""
    asked = {name: value for name, value in values.items() if value is not None}
    found = con.execute(
        f"""SELECT t.*, i.uri, i."offset", i.length, i."row", c.captions
        FROM synth_truth t JOIN inputs i ON i.image_id = t.image_id AND i.status = 'ok'
        LEFT JOIN (SELECT image_id, list(text ORDER BY lang) AS captions FROM captions GROUP BY image_id) c
            ON c.image_id = t.image_id
        {rest}""",
        asked,
    ).to_arrow_table()
    return list(found.to_pylist())


def _read(reader: ImageReader, row: Mapping[str, Any]) -> Image.Image:
    """Raises UnreadableError."""
    return Image.open(io.BytesIO(reader.read(row["uri"], row["offset"], row["length"], row["row"]))).convert("RGB")


def _words(row: Mapping[str, Any]) -> Iterator[str]:
    side = f", {row['side']} of edit pair {row['pair_id']}" if row["pair_id"] else ""
    yield f"{row['image_id']}  {row['strategy']} seed {row['seed']} index {row['index']}{side}"
    yield f"template  {row['template']}"
    for text in row["texts"]:
        role = f"{text['role']}, " if text["role"] else ""
        count = len(text["characters"])
        yield f"text  {role}{text['language']}, {', '.join(text['fonts'])}, {count} characters: {text['text']!r}"
    for caption in row["captions"] or ():
        yield f"caption  {caption}"
    facts = json.loads(row["facts"])
    if facts:
        yield f"facts  {json.dumps(facts, ensure_ascii=False)}"
