"""The gate for forks beside calls of SQLite."""

from __future__ import annotations

from typing import Final

from database.core.fork_gate import ForkGate

FORKS: Final = ForkGate()
"""SQLite has locks that all its connections share, for memory and for opening files: a child in which one of them is
held could open no file.
"""
