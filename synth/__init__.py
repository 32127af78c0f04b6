"""Text the world lacks: pure functions that draw images of text with exact ground truth; jobs in pipelines run them."""
