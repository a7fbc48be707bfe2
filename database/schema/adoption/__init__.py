"""Declarations for the tables of a database that was there before Isthmus."""
