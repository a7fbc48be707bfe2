"""Chance, for waits that keep many processes from doing the same at the same moment.

From the system and not from :mod:`random`, whose state belongs to the application, and is the same in forked processes
where an instance of one's own is used.
"""

from __future__ import annotations

from random import SystemRandom

chance = SystemRandom().random
"""A number from 0, included, to 1, excluded."""
