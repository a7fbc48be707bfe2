"""The log of changes on SQL databases: the tables that keep it, and the triggers that write it."""
