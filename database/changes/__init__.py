"""The feed of committed changes that some backends have, and the live queries that are made from it."""
