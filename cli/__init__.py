"""The commands of ``flask``."""
