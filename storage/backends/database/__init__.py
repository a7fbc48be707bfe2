"""The common tests of databases as places: ``python -m unittest storage.backends.database.tests``."""
