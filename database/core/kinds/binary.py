"""Bytes: base64 in JSON and in URLs."""

from __future__ import annotations

import binascii
from base64 import b64decode
from base64 import b64encode
from typing import Any
from typing import Final

from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind

MAX_BYTES: Final = 1 << 18
"""The most bytes of a value, which fit into one record on every backend, and into a request."""

_STANDARD = str.maketrans("-_", "+/")


class Bytes(Kind):
    """Bytes, sorted by their values: ``bytes``, or base64 with its padding, of both alphabets.

    Backends without bytes in this order store them as hexadecimal digits in lower case.
    """

    name = "bytes"
    python_type = bytes
    storage = TEXT

    def check(self, value: Any) -> bytes:
        if isinstance(value, str):
            value = _decoded(value)
        if not isinstance(value, bytes | bytearray | memoryview):
            raise ValueError("must be bytes, in JSON as base64")
        if len(value) > MAX_BYTES:
            raise ValueError(f"must have at most {MAX_BYTES} bytes")
        return bytes(value)

    def parse(self, text: str) -> bytes:
        return self.check(text)

    def store(self, value: bytes) -> str:
        return value.hex()

    def restore(self, stored: str) -> bytes:
        found = bytes.fromhex(stored)
        if found.hex() != stored:
            raise ValueError("must be hexadecimal digits in lower case")
        return found


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text.translate(_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64, with its padding") from None


def base64_text(value: bytes) -> str:
    """Bytes as they are in JSON."""
    return b64encode(value).decode()


BYTES: Final = Bytes()
