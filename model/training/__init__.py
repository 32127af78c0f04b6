"""The trainer: algorithms, the loop that runs them, and what it leaves in the run's folder."""
