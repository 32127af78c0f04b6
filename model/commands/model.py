"""The group `glyphmill model`: checkpoints in and out of the public layout."""

from __future__ import annotations

import typer

app = typer.Typer()
model = typer.Typer(no_args_is_help=True, help="Checkpoints in and out of the public layout; sizes.")
app.add_typer(model, name="model", rich_help_panel="Model")
