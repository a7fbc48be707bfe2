"""Your application's own set-up: :func:`app.create_app` calls :func:`init_app` last.

This file, ``config/tables.py``, ``config/stores.py``, ``config/permissions.py`` and ``migrations/`` belong to you. An
update of Isthmus does not change them.
"""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Register your blueprints, commands and settings. The databases and authentication of ``app`` are ready."""
