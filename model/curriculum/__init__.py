"""Curricula: what a model is shown, in which order and how much of each, as a TOML file."""
