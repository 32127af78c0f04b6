"""What to draw so that coverage grows where it is thinnest."""
