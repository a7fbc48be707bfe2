"""Writes while a store is out of reach, and how they are carried out later."""
