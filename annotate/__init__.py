"""Reading and describing images: OCR, captions, alignment, and the joint annotation. A library of pure functions."""
