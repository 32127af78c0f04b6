"""Materials: surfaces of any size that can be written on and read, each with names in both languages."""

from __future__ import annotations

import numpy as np
import pytest
from typefaces import face

from synth.captions import WAYS
from synth.chance import chance
from synth.compositional.checks import line_contrast
from synth.compositional.materials import MATERIALS
from synth.compositional.names import CHINESE
from synth.draw.ink import ink as draw_ink
from synth.geometry import bounds, corners
from synth.layout.block import Setting
from synth.layout.fit import fit


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize(("h", "w"), [(70, 83), (240, 400), (431, 233)])
def test_a_surface_has_the_size_asked_for_and_room_to_write(material: str, h: int, w: int) -> None:
    for index in range(4):
        surface = MATERIALS[material](chance(5, material, index), h, w)
        assert surface.rgb.shape == (h, w, 3)
        assert surface.rgb.dtype == np.uint8
        assert surface.alpha.shape == (h, w)
        x0, y0, x1, y1 = surface.room
        assert 0 < x0 < x1 < w
        assert 0 < y0 < y1 < h
        assert (x1 - x0) * (y1 - y0) > 0.3 * h * w
        assert surface.alpha[y0:y1, x0:x1].min() == 255
        inside = surface.rgb[y0:y1, x0:x1].astype(int)
        assert inside.reshape(-1, 3).std(axis=0).max() > 0.5, "a plain colour is no material"


@pytest.mark.parametrize("material", MATERIALS)
def test_the_same_chance_makes_the_same_surface(material: str) -> None:
    one, two = (MATERIALS[material](chance(9, material, 3), 150, 220) for _ in range(2))
    other = MATERIALS[material](chance(9, material, 4), 150, 220)
    assert np.array_equal(one.rgb, two.rgb)
    assert not np.array_equal(one.rgb, other.rgb)


@pytest.mark.parametrize("material", MATERIALS)
def test_what_is_written_shows_with_every_ink(material: str) -> None:
    setting = Setting((face("sans-sc"),), 0.0, language="zh-Hans", align="center")
    seen: set[str] = set()
    for index in range(12):
        rng = chance(6, material, index)
        surface = MATERIALS[material](rng, 300, 420)
        x0, y0, x1, y1 = surface.room
        block = fit("水深危险 Go 9", setting, x1 - x0, y1 - y0, 20, 90)
        mask, placed = draw_ink(block, (300, 420), (x0, y0))
        for ink in surface.inks:
            if (surface.kind, ink.way) in seen:
                continue
            seen |= {(surface.kind, ink.way)}  # type: ignore[arg-type]
            rgb = surface.rgb.copy()
            ink.put(rgb, mask, block.setting.size, chance(0, ink.way, index))
            assert line_contrast(rgb, corners(bounds(placed.boxes)[None])[0]) > 1.7, (surface.kind, ink.way, ink.colour)
            far = rgb[y1:, :].astype(int) - surface.rgb[y1:, :]
            assert np.abs(far).mean() < 20, "writing belongs where the mask is"
            assert ink.way in WAYS
    assert seen


@pytest.mark.parametrize("material", MATERIALS)
def test_every_kind_has_a_chinese_name(material: str) -> None:
    kinds = {MATERIALS[material](chance(1, material, index), 60, 80).kind for index in range(60)}
    assert kinds <= set(CHINESE)
    assert all(kind.split()[0] in ("a", "an") for kind in kinds)
