"""Models that score a picture, alone or with its caption: CLIP-like scorers, classifier heads, their weights."""
