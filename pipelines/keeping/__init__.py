"""Keeping: taking images down, watching what drifts, telling versions apart, and the dataset's card."""
