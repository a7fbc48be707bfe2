"""Codes and outputs: small texts are columns of their evaluation, all else is in a store for blobs.

A blob is stored before the evaluation that names it, under a key that is never used again, so that a crash leaves the
old evaluation or the new one, and perhaps a blob of which no evaluation knows. :meth:`Outputs.sweep` deletes those.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import chain
from itertools import count
from itertools import islice
from typing import Any
from typing import Final
from typing import NamedTuple

import orjson

from database.core.context import active_unit
from database.core.context import as_application
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.result import Row
from database.core.tables.schema import new_id
from database.unit_of_work import UnitOfWork
from storage.core.entry import Entry
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageSerializationError
from storage.core.keys import with_nul
from storage.core.keys import without_nul
from storage.core.store import MAX_PAGE
from storage.core.store import PREVIEW
from storage.core.store import Store
from storage.core.streaming import PART
from storage.core.values import BYTES_TYPE
from stores.evaluations.places.records import TEXTS

TEXT_TYPE: Final = "text/plain; charset=utf-8"

_PREFIX: Final = "outputs/"
_TYPED: Final = ("output", "error")


class Kept(NamedTuple):
    """A text that was kept.

    :ivar columns: the values of its columns.
    :ivar location: of its blob; None if it has none.
    """

    columns: dict[str, Any]
    location: str | None


class Outputs:
    """Keeps codes and outputs.

    :param blobs: None if there is no store for them: then texts that are no columns are refused.
    :param inline: the largest text that is a column, in bytes.
    """

    def __init__(self, blobs: Store | None, inline: int) -> None:
        self._blobs = blobs
        self._inline = inline

    def kept(self, id: str, field: str, chunks: Iterable[bytes], media_type: str | None = None) -> Kept:
        """Keep the bytes of ``chunks``; nothing is kept if they end with an exception.

        :param field: ``code``, ``output`` or ``error``.
        :raises StorageCapacityError: if they are too large without a store for blobs, or for it.
        :raises StorageSerializationError: if they are no text without a store for blobs.
        """
        rest = iter(chunks)
        start = _first(rest, self._inline)
        is_whole = len(start) <= self._inline
        text = _text(start, self._inline) if is_whole else None
        size, location = len(start), None
        kind = media_type or (TEXT_TYPE if text is not None else _kind(start))
        if text is None:
            size, location = self._store(id, field, start, rest, kind, is_whole=is_whole)
        columns: dict[str, Any] = {TEXTS[field]: _beginning(start) if text is None else text}
        columns |= {f"{field}_size": size, f"{field}_s3_key": location}
        if field in _TYPED:
            columns[f"{field}_type"] = kind
        return Kept(columns, location)

    def chunks(self, row: Row, field: str) -> Iterator[bytes]:
        """The bytes of a text that is there; the first ones are read at once.

        :raises StorageCorruptError: if its blob is not what it was.
        """
        location = row[f"{field}_s3_key"]
        if location is None:
            return iter([row[TEXTS[field]].encode()])
        with as_application():
            parts = self._parts(location, row[f"{field}_size"])
            first = next(parts, b"")
        return chain([first], _as_application(parts))

    def moved(self, row: Row, source: Outputs) -> Row:
        """The evaluation with copies of its blobs here.

        :param source: where they are.
        """
        copied = dict(row)
        for field in TEXTS:
            if row[f"{field}_s3_key"] is not None:
                kind = row.get(f"{field}_type") or TEXT_TYPE
                chunks = source.chunks(row, field)
                _, copied[f"{field}_s3_key"] = self._store(row["id"], field, b"", chunks, kind, is_whole=False)
        return copied

    def written(self, kept: Iterable[Kept], write: Callable[[], Row]) -> Row:
        """The result of ``write``, which names what was kept; if it is refused or rolled back, the blobs go, too."""
        new = [one.location for one in kept if one.location is not None]
        unit = active_unit.get()
        if new and isinstance(unit, UnitOfWork):
            unit.after_rollback(lambda: self._discard_later(new))
        try:
            return write()
        except DataError as error:
            if error.outcome is error.outcome.NOT_APPLIED:
                self.discard(new)
            raise

    def forget(self, row: Row, fields: Iterable[str] = TEXTS) -> None:
        """Delete the blobs of an evaluation that was changed or deleted, as soon as that is committed."""
        old = [location for field in fields if (location := row[f"{field}_s3_key"]) is not None]
        unit = active_unit.get()
        if old and isinstance(unit, UnitOfWork):
            unit.after_commit(lambda: self._discard_later(old))
        else:
            self.discard(old)

    def discard(self, locations: Iterable[str]) -> None:
        """Delete blobs; those that cannot be deleted now are left to the sweep."""
        if self._blobs is None:
            return
        for location in locations:
            with suppress(DataError), as_application():
                if location.endswith("/"):
                    self._blobs.clear(location)
                else:
                    self._blobs.delete(location)

    def _discard_later(self, locations: Iterable[str]) -> None:
        with on_its_own():
            self.discard(locations)

    def sweep(self, before: datetime, named: Callable[[Collection[str]], Collection[str]]) -> int:
        """Delete blobs that were stored before a time and that no evaluation names; returns their number.

        :param before: so long ago that no transaction of then is still open.
        :param named: the locations that the evaluations with some ids name.
        """
        deleted, old = 0, self._old(before)
        while part := dict(islice(old, MAX_PAGE)):
            lost = part.keys() - named({*part.values()})
            self.discard(lost)
            deleted += len(lost)
        return deleted

    def _old(self, before: datetime) -> Iterator[tuple[str, str]]:
        """The locations of old blobs, each with the id of its evaluation."""
        last = None
        for entry in self._heads():
            location = entry.key if "parts" not in entry.metadata else entry.key[: entry.key.rindex("/") + 1]
            if location != last and entry.stored_at is not None and entry.stored_at < before:
                yield location, with_nul(entry.metadata.get("evaluation", ""))
            last = location

    def _heads(self) -> Iterator[Entry]:
        """What is known of all blobs, read page by page. Only the reading has the rights of the application."""
        if self._blobs is None:
            return
        cursor = None
        while True:
            with as_application():
                page = self._blobs.page(_PREFIX, cursor=cursor, limit=MAX_PAGE)
            yield from page.entries
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def _store(
        self,
        id: str,
        field: str,
        start: bytes,
        rest: Iterator[bytes],
        media_type: str,
        *,
        is_whole: bool,
    ) -> tuple[int, str]:
        """Store a blob; returns its size and its location. That of one in several entries ends with a slash."""
        blobs = self._blobs
        if blobs is None:
            raise _no_blobs(field, self._inline, is_whole=is_whole)
        named = without_nul(id)
        key, about = f"{_PREFIX}{named}/{field}-{new_id()}", {"evaluation": named}
        with as_application():
            if blobs.in_parts:
                entry = blobs.upload(key, chain([start], rest), media_type=media_type, metadata=about)
                return entry.size, key
            try:
                size = _put_parts(blobs, f"{key}/", chain([start], rest), media_type, about)
            except BaseException:
                self.discard([f"{key}/"])
                raise
        return size, f"{key}/"

    def _parts(self, location: str, size: int) -> Iterator[bytes]:
        blobs = self._blobs
        if blobs is None:
            raise StorageCorruptError(location, "it is in a store for blobs, and none is given")
        if not location.endswith("/"):
            _, chunks = blobs.stream(location)
            yield from chunks
            return
        read = 0
        for number in count():
            if read >= size:
                return
            part = blobs.get(f"{location}{number:06}")
            if not isinstance(part, bytes):
                raise StorageCorruptError(location, f"its part {number} is missing")
            read += len(part)
            yield part


def _put_parts(blobs: Store, prefix: str, chunks: Iterator[bytes], media_type: str, about: dict[str, str]) -> int:
    """Store bytes as entries of a few MiB, so that no more are in memory; returns their number."""
    most, size = min(PART, blobs.capabilities.largest), 0
    held = bytearray()
    numbers = count()

    def put(part: bytes) -> None:
        blobs.put(f"{prefix}{next(numbers):06}", part, media_type=media_type, metadata={**about, "parts": True})

    for chunk in chunks:
        held += chunk
        size += len(chunk)
        while len(held) >= most:
            put(bytes(held[:most]))
            del held[:most]
    if held or not size:
        put(bytes(held))
    return size


def _as_application(parts: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        with as_application():
            part = next(parts, None)
        if part is None:
            return
        yield part


def _first(chunks: Iterator[bytes], size: int) -> bytes:
    """The first chunks, until there are more than ``size`` bytes."""
    start = bytearray()
    for chunk in chunks:
        start += chunk
        if len(start) > size:
            break
    return bytes(start)


def _text(body: bytes, inline: int) -> str | None:
    """The body as text that every database stores; None if it is none, or if JSON makes too much of it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text or len(orjson.dumps(text)) > 2 * inline + 2 else text


def _kind(start: bytes) -> str:
    return BYTES_TYPE if "\ufffd" in _beginning(start) else TEXT_TYPE


def _beginning(body: bytes) -> str:
    """The first bytes as text, without the half of a character at their end."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(body[:PREVIEW], final=len(body) <= PREVIEW).replace("\0", "\ufffd")


def _no_blobs(field: str, inline: int, *, is_whole: bool) -> StorageCapacityError | StorageSerializationError:
    where = "and there is no store for blobs: give one as `blobs`"
    if is_whole:
        return StorageSerializationError(f"the {field} is no text in UTF-8 without NUL, {where}")
    return StorageCapacityError(f"the {field} has more than {inline:,} bytes, {where}")
