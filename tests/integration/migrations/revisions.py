"""The migrations that there are, in order."""

from __future__ import annotations

OWN = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013"]
"""Those of Isthmus."""

APPLICATION = ["laboratory1", "laboratory2"]
"""Those of the tests' application."""

REVISIONS = [*OWN, *APPLICATION]
NEWEST = [OWN[-1], APPLICATION[-1]]
"""What an upgraded database has."""
