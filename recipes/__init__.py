"""Curation recipes, TOML files that ship with the package."""
