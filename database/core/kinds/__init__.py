"""The types of columns, and which values each accepts."""
