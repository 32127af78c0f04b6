"""Edit pairs: the same scene twice with one change, and the instruction that names it."""
