"""Nothing more than its tables and stores."""

from __future__ import annotations

from flask import Flask


def init_app(_: Flask) -> None:
    """Nothing to register."""
