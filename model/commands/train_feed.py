"""glyphmill train: the commands of feed."""

from __future__ import annotations

import typer

app = typer.Typer()
