"""The files of an application."""
