"""Change feeds of committed changes, for backends that have them, and the subscriptions that are built on them."""
