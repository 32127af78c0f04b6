"""A page that is ready to be drawn, and drawing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.sample import Json
from synth.template.html.browser import Document, Session
from synth.template.html.faces import Typefaces
from synth.template.html.pages import Page
from synth.template.html.palette import Palette
from warehouse.errors import UsageError


@dataclass(frozen=True)
class Composed:
    """A filled page with its faces and colours. `facts`: what was chosen."""

    page: Page
    document: Document
    faces: Typefaces
    palette: Palette
    facts: Mapping[str, Json]


def drawn(session: Session, made: Composed) -> tuple[Mapping[str, Any], NDArray[np.uint8] | None]:
    """What probe.js tells of the page, and its picture; none where texts do not fit. Raises UsageError where Chromium
    takes another font than the chosen one."""
    session.show(made.document)
    faces = made.faces.all()
    asked = {"families": [face.family for face in faces], "smallest": made.page.smallest}
    told: Mapping[str, Any] = session.evaluate(_probe(), asked)
    if "absent" in told:
        names = ", ".join(face.info.name for face in faces if face.family in told["absent"])
        raise UsageError(f"Chromium does not find the font {names} by its name: install it where fontconfig looks")
    if "texts" not in told:
        return told, None
    wanted = {face.face for face in faces}
    if (
        not wanted <= session.trusted
    ):  # what a face draws is known of its file; that Chromium takes this very face is seen
        strange = set(session.fonts()) - wanted
        if strange:
            instead = f"{', '.join(sorted(strange))} in place of {', '.join(sorted(wanted))}"
            raise UsageError(f"page {made.page.name}: Chromium drew with {instead}")
        session.trusted |= wanted
    return told, session.picture()


@cache
def _probe() -> str:
    return (resources.files("synth.template.html") / "probe.js").read_text(encoding="utf-8")
