"""Nights: what a date brings, its plan, its passes, what is left of it and how to try a failed unit alone."""
