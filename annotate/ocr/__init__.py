"""Reading text in pictures: engines behind one reader, reading order, scripts, heights, and what OCR is blind to."""
