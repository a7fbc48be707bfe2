"""The base class of layers that store the body of an entry in another form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.context import Context
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.core.entry import DAMAGED
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored
from storage.core.layer import Layer
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Scan
from storage.core.operations import Search

_FORMER: Final = "type"
"""The note with the media type that an entry had before."""


class Undecodable(Exception):
    """A body cannot be brought back to its form; the message says why."""


class Coding(Layer):
    """Writes each body in another form, and reads it back.

    A store reads what it wrote without the layer, and with it what was written before: the media type and the notes
    among the headers of an entry say which form it has.

    :cvar media_type: of the bodies in the other form.
    :cvar name: what the bodies are then; the names of its headers begin with it.
    :ivar required: whether bodies that are not in the other form are refused.
    """

    media_type: ClassVar[str]
    required: bool = False

    @abstractmethod
    def coded(self, entry: Stored) -> tuple[bytes, Mapping[str, str]] | None:
        """The body in the other form, and the notes that are needed to read it; None to leave the entry as it is."""

    @abstractmethod
    def decoded(self, entry: Stored, body: bytes, notes: Mapping[str, str]) -> bytes:
        """The body of the entry, which has its former headers again.

        :param body: that of :meth:`coded`.
        :param notes: those of :meth:`coded`.
        :raises Undecodable: if the body is not what it was.
        :raises KeyError: if a note is missing.
        """

    def around(self, inner: Handler) -> Handler:
        """The stage around the next one."""

        def call(operation: Operation, context: Context) -> Result:
            result = inner(self._sent(operation), context)
            result.value = self._received(result.value, self._readable if _has_bodies(operation) else self._headed)
            return result

        return call

    def has(self, entry: Stored) -> bool:
        """Whether the entry is in the other form."""
        # A caller's own bytes may be of this type, too.
        return entry.headers.get(MEDIA_TYPE) == self.media_type and self._header(_FORMER) in entry.headers

    def notes(self, entry: Stored) -> dict[str, str]:
        """The notes about an entry that is in the other form."""
        begins = self._header("")
        return {name.removeprefix(begins): text for name, text in entry.headers.items() if name.startswith(begins)}

    def noted(self, headers: Mapping[str, str], notes: Mapping[str, str]) -> dict[str, str]:
        """The headers with these notes."""
        return {**headers, **{self._header(name): text for name, text in notes.items()}}

    def before(self, entry: Stored) -> Stored:
        """An entry that is in the other form, with the headers that it had before."""
        begins = self._header("")
        headers = {name: text for name, text in entry.headers.items() if not name.startswith(begins)}
        headers[MEDIA_TYPE] = entry.headers[self._header(_FORMER)]
        if headers[MEDIA_TYPE] == JSON_TYPE:
            del headers[MEDIA_TYPE]
        return entry._replace(headers=headers)

    def _header(self, note: str) -> str:
        return f"{self.name}_{note}"

    def _encoded(self, entry: Stored) -> Stored:
        if (made := self.coded(entry)) is None:
            return entry
        body, notes = made
        former = entry.headers.get(MEDIA_TYPE, JSON_TYPE)
        headers = {**entry.headers, MEDIA_TYPE: self.media_type, self._header(_FORMER): former}
        return entry._replace(headers=self.noted(headers, notes), body=body)

    def _sent(self, operation: Operation) -> Operation:
        if isinstance(operation, Put):
            return Put(self._encoded(operation.entry), operation.expected)
        if isinstance(operation, Batch):
            return replace(operation, operations=tuple(map(self._sent, operation.operations)))
        if isinstance(operation, Fetch) and operation.preview:
            # The beginning of the other form is of no use.
            return Fetch(operation.key)
        if isinstance(operation, Scan) and operation.small:
            # A body without its former headers could not be told from a whole one.
            return replace(operation, small=0)
        return operation

    def _received(self, value: Any, read: Callable[[Stored], Stored]) -> Any:
        if isinstance(value, Stored):
            return read(value)
        if isinstance(value, list):
            return [self._received(one, read) for one in value]
        # An entry that was found by a search has a score.
        return (read(value[0]), *value[1:]) if isinstance(value, tuple) else value

    def _headed(self, entry: Stored) -> Stored:
        return self.before(entry) if self.has(entry) else entry

    def _readable(self, entry: Stored) -> Stored:
        if DAMAGED in entry.headers or not (self.required or self.has(entry)):
            return entry
        if not self.has(entry):
            return Stored.damaged(entry.key, f"it is not {self.name}, and must be", entry.stored_at)
        before = self.before(entry)
        try:
            return before._replace(body=self.decoded(before, entry.body, self.notes(entry)))
        except Undecodable as error:
            reason = str(error)
        except KeyError:
            reason = "a part of its headers is missing"
        # One of many does not keep the others from being read.
        return Stored.damaged(entry.key, reason, entry.stored_at)


def _has_bodies(operation: Operation) -> bool:
    if isinstance(operation, Fetch):
        return not operation.head
    return isinstance(operation, FetchMany | Search) or (isinstance(operation, Scan) and operation.bodies)
