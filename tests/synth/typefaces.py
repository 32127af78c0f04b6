"""Faces that tests set text in, from Debian packages; a test that needs one skips where its file is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.fonts.face import FaceKey

_NOTO = "/usr/share/fonts/truetype/noto"
FACES = {
    "sans-sc": FaceKey("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    "sans-ja": FaceKey("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 0),
    "serif-sc": FaceKey("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc", 2),
    "kai": FaceKey("/usr/share/fonts/truetype/lxgw-wenkai/LXGWWenKai-Regular.ttf", 0),
    "micro-hei": FaceKey("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0),
    "arabic": FaceKey(f"{_NOTO}/NotoSansArabic-Regular.ttf"),
    "devanagari": FaceKey(f"{_NOTO}/NotoSansDevanagari-Regular.ttf"),
    "thai": FaceKey(f"{_NOTO}/NotoSansThai-Regular.ttf"),
    "sans": FaceKey("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    "serif": FaceKey("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf"),
}


def face(name: str) -> FaceKey:
    """The face of that name, or the test is skipped."""
    key = FACES[name]
    if not Path(key.path).is_file():
        pytest.skip(f"no {key.path}: see .ci/packages")
    return key
