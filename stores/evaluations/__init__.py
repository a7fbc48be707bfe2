"""Evaluations of code: their records, events, metrics and outputs."""
