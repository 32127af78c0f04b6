"""Pure rendering: a paragraph on a clean ground."""
