"""Transactions for backends that offer their clients none: read, work on a replica, send one commit."""
