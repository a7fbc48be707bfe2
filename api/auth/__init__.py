"""The routes of accounts, sessions and public keys."""
