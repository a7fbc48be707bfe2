"""The backends: one module or folder each, all behind the interface of :mod:`database.adapter.backend`."""
