"""Ground floor: schemas, the lake, sources, shards and the training dataset. Imports no other floor."""
