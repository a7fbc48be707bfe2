"""Stores: one suite for all backends, and what each of them has alone."""
