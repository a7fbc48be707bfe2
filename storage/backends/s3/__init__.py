"""Entries in S3, or in what speaks its protocol: an object for each key."""
