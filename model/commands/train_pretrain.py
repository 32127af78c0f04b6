"""glyphmill train: the commands of pretrain."""

from __future__ import annotations

import typer

app = typer.Typer()
