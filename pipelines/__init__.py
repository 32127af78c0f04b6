"""Jobs that run pure functions over units, and the decisions made in SQL from what they measured."""
