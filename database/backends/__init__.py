"""The backends: one module or folder each, all behind the seam of :mod:`database.adapter.base`."""
