"""The migrations that there are, in order."""

from __future__ import annotations

REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006"]
NEWEST = REVISIONS[-1]
NEXT = f"{int(NEWEST) + 1:04}"
