"""Stages 6 and 7: quotas by category and track, the best of each leaf, weights by text, requests for what lacks."""
