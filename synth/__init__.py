"""Text the world lacks: pure functions that draw images of text, with exact ground truth. Jobs in pipelines run them."""
