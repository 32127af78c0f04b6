"""Text on a material, the material in a photograph."""
