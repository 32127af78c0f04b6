"""Commands of one job each; `glyphmill.py` mounts them."""
