"""Shared by all SQL backends: statements compiled once per shape, and the operations that execute them."""
