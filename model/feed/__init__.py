"""The feed: producers encode what the next steps need, a store keeps it, consumers map or pull it."""
