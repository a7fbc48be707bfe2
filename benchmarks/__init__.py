"""Benchmarks of Isthmus and of other libraries: ``python -m benchmarks``."""
