"""Training of autoencoders on a lake's shards: both sides with KL, or a decoder alone on text-rich images."""
