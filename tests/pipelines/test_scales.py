"""Training scales: an image that a later stage drops may still be trained at the scale of an earlier one, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import encoded, photo

from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.export import export
from pipelines.near.pairs import near
from pipelines.recipe import installed_tables, loads
from pipelines.scan import scan
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources import open_source

HERE = LocalEngine(workers=0)
RECIPE = """
name = "scaled"
store_from = 1
[[scale]]
side = 256
from_stage = 1
[[scale]]
side = 400
from_stage = 5
[duplicates]
max_distance = 16
max_tile_distance = 7.0
[[stage]]
number = 1
name = "small"
rules = [{ name = "wide", when = "width >= 100" }]
[[stage]]
number = 5
name = "large"
rules = [{ name = "wider", when = "width >= 400" }]
"""


def test_scales_take_what_passed_their_stage_and_no_copy_of_it(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    large, small = photo(480, 320, 1), photo(330, 220, 2)
    pictures = {
        "large": encoded(large, "JPEG", quality=92),
        "large_copy": encoded(large.resize((390, 260)), "JPEG", quality=92),  # fails stage 5, repeats a kept one
        "small": encoded(small, "JPEG", quality=92),
        "small_copy": encoded(small, "JPEG", quality=85),  # both fail stage 5
        "tiny": encoded(photo(90, 60, 3), "JPEG"),
    }
    for name, data in pictures.items():
        (photos / f"{name}.jpg").write_bytes(data)
    recipe = loads(RECIPE, "test.toml", installed_tables())
    lake = Lake.open_or_create(tmp_path / "lake")
    scan(lake, open_source(str(photos)), engine=HERE)
    near(lake, engine=HERE)
    decide(lake, recipe)
    done = export(lake, recipe, engine=HERE)
    with lake.connect(read_only=True) as con:
        placed = con.execute(
            "SELECT parse_filename(uri, true), list(scale ORDER BY scale) FROM placements JOIN images USING (image_id) "
            "GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert placed[0] == ("large", [256, 400])
    assert len(placed) == 2
    assert placed[1] in [("small", [256]), ("small_copy", [256])]
    assert done.placed == 3
    assert export(lake, recipe, engine=HERE).version == done.version


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (RECIPE.replace("side = 400", "side = 256"), "scales must differ"),
        (RECIPE.replace("store_from = 1", "store_from = 1\nscales = [256]"), "two ways to say one thing"),
        (
            RECIPE.replace("[[scale]]\nside = 256\nfrom_stage = 1\n[[scale]]\nside = 400\nfrom_stage = 5\n", ""),
            "missing",
        ),
        (RECIPE.replace("from_stage = 5", "from_stage = 9"), "less than or equal to 7"),
    ],
)
def test_scales_that_make_no_sense_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        loads(text, "test.toml", installed_tables())
