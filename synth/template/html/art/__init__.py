"""Our own drawings: SVG from chance alone, coloured by the page's CSS variables, so that they always match it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synth.template.html.art import comics, ornament, scenery, things

Draw = Callable[[np.random.Generator], str]

#: What `data-art` may name.
DRAWINGS: dict[str, Draw] = {
    "avatar": things.avatar,
    "product": things.product,
    "dish": things.dish,
    "cover": ornament.cover,
    "pattern": ornament.pattern,
    "sprig": ornament.sprig,
    "wreath": ornament.wreath,
    "rays": ornament.rays,
    "blobs": ornament.blobs,
    "waves": ornament.waves,
    "seal": ornament.seal,
    "hills": scenery.hills,
    "skyline": scenery.skyline,
    "planet": scenery.planet,
    "sea": scenery.sea,
    "map": scenery.street_map,
    "landscape": scenery.landscape,
    "stage": comics.stage,
    "person": comics.person,
    "cat": comics.cat,
    "robot": comics.robot,
    "actor": comics.actor,
}
