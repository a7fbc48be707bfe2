"""Conflicts of sync: the strategies that resolve them, those that wait for a decision, and their journal."""
