"""What an image is of: the taxonomy, and the assignment from annotation, alignment or rules."""
