"""A short name for a font's licence, from what its name table says."""

from __future__ import annotations

import re

#: First match wins; looked for in the licence, its address and, last, the copyright line.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"bitstream", "Bitstream Vera"),
    (r"sil open font licen[cs]e|scripts\.sil\.org/ofl|openfontlicense\.org|\bOFL\b", "OFL-1.1"),
    (r"apache licen[cs]e|apache\.org/licenses", "Apache-2.0"),
    (r"arphic public licen[cs]e", "Arphic-1999"),
    (r"ipa font licen[cs]e", "IPA"),
    (r"ubuntu font licen[cs]e", "UFL-1.0"),
    (r"gust font licen[cs]e", "GUST"),
    (r"affero general public|\bAGPL", "AGPL-3"),
    (r"lesser general public|\bLGPL", "LGPL"),
    (r"\bGPL ?v?3|general public licen[cs]e[^.]*version 3|licenses/gpl-3", "GPL-3"),
    (r"\bGPL ?v?2|general public licen[cs]e[^.]*version 2|licenses/gpl-2", "GPL-2"),
    (r"\bGPL\b|general public licen[cs]e", "GPL"),
    (r"\bCC0\b|publicdomain/zero", "CC0-1.0"),
    (r"public domain", "public domain"),
    (r"\bmit licen[cs]e|opensource\.org/licenses/mit", "MIT"),
)
_EXCEPTION = re.compile(r"font (embedding )?exception|font-embedding", re.IGNORECASE)


def licence_name(licence: str, address: str, copyright_line: str) -> str | None:
    """Such as OFL-1.1, GPL-2+FE (with the font exception), Apache-2.0; the first words of what is not known; None
    where the font says nothing."""
    for told in (f"{licence}\n{address}", copyright_line):
        for pattern, name in _NAMES:
            if re.search(pattern, told, re.IGNORECASE):
                return name + ("+FE" if name.startswith("GPL") and _EXCEPTION.search(told) else "")
    words = licence.split() or address.split()
    return " ".join(words[:6])[:60] or None
