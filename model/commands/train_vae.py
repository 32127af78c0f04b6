"""glyphmill train: the commands of vae."""

from __future__ import annotations

import typer

app = typer.Typer()
