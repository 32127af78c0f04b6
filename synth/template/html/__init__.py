"""Pages as HTML and CSS, drawn by a headless Chromium, the truth read from the DOM."""
