"""The JSON form of values for which JSON has no type."""

from __future__ import annotations

from datetime import timedelta

from database.core.kinds.binary import base64_text
from database.core.kinds.durations import iso_duration


def json_form(value: object) -> str:
    """A value that orjson cannot write, as text that its kind reads; for ``orjson.dumps(…, json_form)``."""
    if isinstance(value, bytes):
        return base64_text(value)
    return iso_duration(value) if isinstance(value, timedelta) else str(value)
