"""One suite for all backends: their common behaviour and their refusals."""
