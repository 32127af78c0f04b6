"""The job of annotation: who is asked, with what, in which order, and the rows that come of it."""
