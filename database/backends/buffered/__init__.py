"""Client-side transactions for backends without interactive ones: read, work on a replica, send one commit."""
