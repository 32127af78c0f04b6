"""Nights: what a date brings, its plan, its passes, what failed of it and how to try that alone."""
