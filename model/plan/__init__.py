"""Plans: a curriculum on a lake, as files from which the batch of any step is worked out."""
