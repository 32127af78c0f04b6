"""glyphmill train: the commands of plan."""

from __future__ import annotations

import typer

app = typer.Typer()
