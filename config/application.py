"""What is the application's own beside its tables: :func:`app.create_app` calls :func:`init_app` last.

This file is yours, as ``config/tables.py``, ``config/permissions.py`` and ``migrations/`` are; an update of Isthmus
does not touch them.
"""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Register blueprints, commands and settings of your own; the databases and identity of ``app`` are there."""
