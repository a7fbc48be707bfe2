"""The storage manager of evaluations: a primary place, a fallback for its outages, and a cache."""
