"""Layers of stores."""
