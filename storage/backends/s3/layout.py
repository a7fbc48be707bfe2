"""An entry as an object: its body, with what is known about the entry among the object's metadata.

So the object is what others can read, by a URL, too. If the metadata of S3 are too small for it, a line of JSON is
before the body, as it is in older objects.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import NamedTuple

import orjson

from database.core.clock import utc_now
from storage.backends.about import about
from storage.backends.about import from_about
from storage.backends.ordered_names import key_of
from storage.backends.ordered_names import short_name_of
from storage.backends.s3.objects import Found
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored

LINE: Final = 8 << 10
"""The bytes of an object that are read for its line; if that is longer, all of it is read."""

UNKNOWN: Final = -1
"""The size of an entry whose body is uploaded."""

_NOTE: Final = "isthmus"
_LONGEST_NOTE: Final = 1_900
"""S3 takes metadata of 2 KB."""


class Known(NamedTuple):
    """An object that was read.

    :ivar entry: without its body; None if the object is not an entry.
    :ivar start: where the body begins.
    """

    entry: Stored | None
    tag: str
    start: int


def laid_out(entry: Stored) -> tuple[dict[str, Any], bytes]:
    """The options of the object, and the bytes before its body."""
    known = orjson.dumps(about(entry))
    note = base64.b64encode(known).decode()
    if len(note) <= _LONGEST_NOTE:
        return {"Metadata": {_NOTE: note}, "ContentType": entry.headers.get(MEDIA_TYPE, JSON_TYPE)}, b""
    return {}, known + b"\n"


def has_note(found: Found) -> bool:
    """Whether the body is all of the object."""
    return _NOTE in found.notes


def known_of(found: Found, name: str) -> Known:
    """The entry of an object, of which at least the line was read, if it has one."""
    try:
        entry, start = _entry(found, name)
    except ValueError as error:
        key = key_of(name)
        # The key of a long name was in the object only.
        return Known(None if key is None else _damaged(key, error), found.tag, 0)
    return Known(entry, found.tag, start)


def _damaged(key: str, error: ValueError) -> Stored:
    return Stored.damaged(key, f"its object is damaged: {error}", utc_now())


def _entry(found: Found, name: str) -> tuple[Stored, int]:
    """The entry, and where its body begins. :raises ValueError: if it is not that of its name, or damaged."""
    if has_note(found):
        text, start = base64.b64decode(found.notes[_NOTE], validate=True), 0
    else:
        text, _, _ = found.content.partition(b"\n")
        start = len(text) + 1
    known: Any = orjson.loads(text)
    # That of an upload was not known when it began.
    if isinstance(known, Mapping) and known.get("size") == UNKNOWN:
        known = {**known, "size": found.length - start}
    entry = from_about(known, b"")
    if short_name_of(entry.key) != name:
        raise ValueError("it has the entry of another key")
    return entry, start
