"""The group `glyphmill train`: what trains, and what feeds it."""

from __future__ import annotations

import typer

from model.commands import train_feed, train_plan, train_pretrain, train_vae

app = typer.Typer()
train = typer.Typer(no_args_is_help=True, help="Train the VAE and the MMDiT on a lake's shards.")
app.add_typer(train, name="train", rich_help_panel="Model")
for part in (train_pretrain, train_vae, train_feed, train_plan):
    train.registered_commands.extend(part.app.registered_commands)
