"""The sections of the benchmarks, one per module."""
