"""glyphmill sample: pictures from a checkpoint."""

from __future__ import annotations

import typer

app = typer.Typer()
