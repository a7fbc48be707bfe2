"""The name of the file of a key: another one for every key, also where names ignore case, and never outside of its
folder.

Small letters, digits and ``._-`` stay as they are, so that people find their files; all else is escaped like in a URL.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

_OTHERS: Final = re.compile(rb"[^a-z0-9._-]")
_LONGEST: Final = 200
"""File systems take names of 255 bytes; the rest is for endings."""

_BEGINNING: Final = 100
_CUT: Final = "%~"
"""Between the beginning of a long name and its hash: an escape has digits there."""


def name_of(key: str) -> str:
    """The file name of a key."""
    name = _OTHERS.sub(lambda found: f"%{found[0][0]:02X}".encode(), key.encode()).decode()
    # Names with a dot in front are those of the store itself, and ".." is another folder.
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_BEGINNING]}{_CUT}{sha256(key.encode()).hexdigest()}"


def key_of(name: str) -> str | None:
    """The key of a file name; None for a long one, whose key is only in the file, and for files of others."""
    if _CUT in name or name.startswith("."):
        return None
    try:
        key = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return None
    return key if name_of(key) == name else None


def is_long(name: str) -> bool:
    """Whether it is the name of a key that is too long for it."""
    return _CUT in name
