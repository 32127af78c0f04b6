"""Materials, each a function from chance and a size to a surface that is ready to be written on."""

from __future__ import annotations

from synth.compositional.materials.board import billboard, chalkboard, whiteboard
from synth.compositional.materials.cloth import cloth
from synth.compositional.materials.glass import glass
from synth.compositional.materials.light import neon, screen
from synth.compositional.materials.metal import metal
from synth.compositional.materials.paper import cardboard, paper
from synth.compositional.materials.stone import stone
from synth.compositional.materials.wood import wood
from synth.compositional.surface import Make

MATERIALS: dict[str, Make] = {
    "paper": paper,
    "cardboard": cardboard,
    "wood": wood,
    "metal": metal,
    "cloth": cloth,
    "glass": glass,
    "chalkboard": chalkboard,
    "whiteboard": whiteboard,
    "neon": neon,
    "billboard": billboard,
    "screen": screen,
    "stone": stone,
}
