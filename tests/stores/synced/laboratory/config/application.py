"""Nothing beside the tables and stores."""

from __future__ import annotations

from flask import Flask


def init_app(_app: Flask) -> None:
    """No blueprints, commands or settings."""
