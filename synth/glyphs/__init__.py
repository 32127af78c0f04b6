"""One character, or a few, on a clean ground: the smallest pictures that teach a model to write."""
