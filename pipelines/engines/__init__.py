"""Engines decide where work runs, never what it does."""
