"""Our own decks: written as small functions, built as real .pptx with themes, layouts and placeholders."""
