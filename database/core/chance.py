"""Random numbers for jitter, which keeps many processes from retrying at the same moment.

They come from the operating system: the state of :mod:`random` belongs to the application, and forked processes would
share the state of a private instance.
"""

from __future__ import annotations

from random import SystemRandom

chance = SystemRandom().random
"""Return a random number from 0 (inclusive) to 1 (exclusive)."""
