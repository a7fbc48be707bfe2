"""The name of the object or item of a key: in the same order, and without what servers treat in their own ways.

Letters and digits stay as they are. Every other byte is a sign and two hexadecimal digits; the sign is another one for
bytes before the digits, between digits and letters, and so on, so that the names are in the order of the keys. A ``/``
is no exception: some servers take no ``..`` and no ``//`` in a name, and no ``a/b`` beside ``a``.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

_OTHERS: Final = re.compile(rb"[^A-Za-z0-9]")

LONGEST: Final = 800
"""S3 takes names of 1,024 bytes, Cosmos DB of 1,023. The rest is for the prefix, and for the hash of a longer name."""


def name_of(key: str) -> str:
    """The name of a key, of any length, or how those of keys with a prefix begin."""
    return _OTHERS.sub(_escape, key.encode()).decode()


def short_name_of(key: str) -> str:
    """The name of a key; one that is too long is cut, with a hash behind it. Only those with one beginning are out of
    order.
    """
    name = name_of(key)
    return name if len(name) <= LONGEST else name[:LONGEST] + sha256(key.encode()).hexdigest()


def key_of(name: str) -> str | None:
    """The key of a name that is not cut; None for the names of others."""
    try:
        key = re.sub(rb"[!=_~]([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), name.encode()).decode()
    except UnicodeDecodeError:
        return None
    return key if name_of(key) == name else None


def _escape(found: re.Match[bytes]) -> bytes:
    byte = found[0][0]
    sign = b"!" if byte < ord("0") else b"=" if byte < ord("A") else b"_" if byte < ord("a") else b"~"
    return sign + b"%02X" % byte
