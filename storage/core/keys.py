"""Keys: any text, apart from what no database can hold. Two different texts are two different keys.

Keys are ordered by code point. A prefix selects the keys that begin with it, whatever characters it has.
"""

from __future__ import annotations

from typing import Final

from storage.core.errors import StorageKeyError
from storage.core.errors import shown

MAX_KEY: Final = 10_000
"""The longest key, in characters."""

_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)

_MARK: Final = "\x01"


def check_key(key: object) -> str:
    """``key``, if a store takes it. :raises StorageKeyError: says what is wrong with it."""
    # Almost all keys.
    if type(key) is str and 0 < len(key) <= MAX_KEY and key.isascii():
        return key
    if not isinstance(key, str) or not key:
        raise StorageKeyError(f"a key must be text of 1 to {MAX_KEY:,} characters, not {shown(key)}")
    return _checked(key, "key")


def check_prefix(prefix: object) -> str:
    """``prefix``, if a store takes it. :raises StorageKeyError: says what is wrong with it."""
    if not isinstance(prefix, str):
        raise StorageKeyError(f"a prefix must be text, not {shown(prefix)}")
    return _checked(prefix, "prefix")


def after_all(prefix: str) -> str | None:
    """The smallest text behind all that begin with ``prefix``; None if there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= _LAST:
            return prefix + chr(code)
    return None


def without_nul(key: str) -> str:
    """A key for databases whose text has no NUL; in the same order, and a prefix stays a prefix."""
    if "\0" not in key and _MARK not in key:
        return key
    # Of the first two characters, one becomes two and keeps its place before all others.
    return key.replace(_MARK, _MARK + "\x02").replace("\0", _MARK + _MARK)


def with_nul(text: str) -> str:
    """The key of :func:`without_nul`."""
    return text.replace(_MARK + _MARK, "\0").replace(_MARK + "\x02", _MARK) if _MARK in text else text


def _checked(text: str, what: str) -> str:
    if len(text) > MAX_KEY:
        raise StorageKeyError(f"a {what} must have at most {MAX_KEY:,} characters, not {len(text):,}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise StorageKeyError(f"the {what} {shown(text)} has half of a surrogate pair, which is no text") from None
    return text
