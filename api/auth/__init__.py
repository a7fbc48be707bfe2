"""Routes of accounts, sessions and keys."""
