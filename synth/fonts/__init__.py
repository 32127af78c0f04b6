"""Fonts: which there are, what each truly draws, and which may draw a text."""

from importlib.util import find_spec

from warehouse.errors import MissingDependency

_missing = [name for name in ("fontTools", "uharfbuzz", "freetype", "bidi", "cv2") if find_spec(name) is None]
if _missing:
    raise MissingDependency(f"synthesis needs {', '.join(_missing)}: pip install 'glyphmill[synth]'")
