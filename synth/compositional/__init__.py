"""Text printed on a material, placed in a real photograph."""
