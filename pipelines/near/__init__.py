"""Near pairs: hashes met by bands, one by one or through the engine's shuffle, then measured on stored thumbnails."""
