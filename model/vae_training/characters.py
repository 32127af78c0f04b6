"""Single characters cut out of drawn images, whose truth the lake holds: what a reader learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from model.feed.pixels import UndecodableError
from model.reader import SIDE
from model.vae_training.pictures import HELD_OUT_BELOW, own_scale
from warehouse.dataset import Sample, ShardDataset
from warehouse.errors import UsageError
from warehouse.lake import Lake

LEAST = 8  # pixels of a character's longer side: below, there is nothing to read
ROUND_IT = 0.12  # of the side, that is seen on each side of a character
MOST_OF_A_PICTURE = 64

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Characters:
    """Squares of 32 pixels, uint8 (N, 3, 32, 32), with the place of each in `alphabet`; those `held_out` are of other
    images than the rest."""

    alphabet: str
    squares: Tensor
    kinds: Tensor
    held_out: Tensor


def gather(lake: str | PurePath, sql: str, *, most: int, cache: Path | None = None) -> Characters:
    """At most `most` characters of the query's drawn images. Characters of held-out images
    only are left out: nothing can be learned of them.

    Raises UsageError where the lake knows of no drawn text in these images.
    """
    truths = _truths(lake, _drawn(sql, most))
    if not truths:
        raise UsageError(_NOTHING)
    dataset = ShardDataset(
        lake, _drawn(sql, most), batch_size=1, buckets=("1:1",), cache_dir=cache, captions_sql=_NO_CAPTIONS
    )
    cuts: list[npt.NDArray[np.uint8]] = []
    texts: list[str] = []
    apart: list[bool] = []
    for sample, drawn in _some(dataset, truths, most):
        try:
            picture = own_scale(sample.data)
        except UndecodableError:
            continue  # the reader needs characters, not every one of them
        for character, box in drawn[:MOST_OF_A_PICTURE]:
            cuts.append(square(picture, box))
            texts.append(character)
            apart.append(sample.image_id[-2:] < HELD_OUT_BELOW)
        if len(cuts) >= most:
            break
    alphabet = "".join(sorted({text for text, other in zip(texts, apart, strict=True) if not other}))
    kept = [place for place, text in enumerate(texts) if text in alphabet]
    if not kept:
        raise UsageError(_NOTHING)
    return Characters(
        alphabet,
        torch.from_numpy(np.stack([cuts[place] for place in kept])).permute(0, 3, 1, 2),
        torch.tensor([alphabet.index(texts[place]) for place in kept]),
        torch.tensor([apart[place] for place in kept]),
    )


def square(picture: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """The square around a box, a little larger, scaled to (32, 32, 3); beyond the picture its edge is repeated."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top) * (0.5 + ROUND_IT)
    x, y = (left + right) / 2, (top + bottom) / 2
    x0, y0, x1, y1 = round(x - half), round(y - half), round(x + half), round(y + half)
    height, width, _ = picture.shape
    rows = np.clip(np.arange(y0, max(y1, y0 + 1)), 0, height - 1)
    columns = np.clip(np.arange(x0, max(x1, x0 + 1)), 0, width - 1)
    part = Image.fromarray(np.ascontiguousarray(picture[rows][:, columns]))
    return np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


_NOTHING = "these images have no drawn text that the lake knows of: choose images of `glyphmill synth`"
_NO_CAPTIONS = "SELECT image_id, text FROM captions WHERE false"


def _drawn(sql: str, most: int) -> str:
    """The query's drawn images, so many at most, by their ids, which are as good as chance."""
    inner = sql.strip().rstrip(";").strip()
    drawn = "image_id IN (SELECT image_id FROM synth_truth)"
    return f"SELECT image_id FROM (\n{inner}\n) WHERE {drawn} ORDER BY image_id LIMIT {most}"


def _truths(lake: str | PurePath, sql: str) -> dict[str, list[tuple[str, Box]]]:
    """Every drawn character of at least LEAST pixels, by image."""
    found: dict[str, list[tuple[str, Box]]] = {}
    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        rows = con.execute(f"SELECT image_id, texts FROM synth_truth WHERE image_id IN (SELECT image_id FROM ({sql}))")
        while batch := rows.fetchmany(256):
            for image_id, texts in batch:
                found[str(image_id)] = [drawn for text in texts or () for drawn in _characters(text)]
    return found


def _characters(text: dict[str, object]) -> Iterator[tuple[str, Box]]:
    whole, spans = str(text["text"]), text["characters"]
    for span in spans if isinstance(spans, list) else ():
        character = whole[span["start"] : span["end"]]
        box = bounds(span["quad"])
        if len(character) == 1 and not character.isspace() and max(box[2] - box[0], box[3] - box[1]) >= LEAST:
            yield character, box


def bounds(quad: Sequence[float]) -> Box:
    """The upright box around a quad (x, y of four corners)."""
    return min(quad[0::2]), min(quad[1::2]), max(quad[0::2]), max(quad[1::2])


def _some(
    dataset: ShardDataset, truths: dict[str, list[tuple[str, Box]]], most: int
) -> Iterator[tuple[Sample, list[tuple[str, Box]]]]:
    """Images spread over the selection, in an order that does not depend on chance, while they are needed."""
    count = len(dataset)
    stride = max(1, round(count * 0.618)) | 1  # visits far places first; coprime to count or made so
    while np.gcd(stride, max(count, 1)) != 1:
        stride += 2
    for turn in range(count):
        sample: Sample = dataset[turn * stride % count]
        drawn = truths.get(sample.image_id, [])
        if drawn:
            yield sample, drawn
