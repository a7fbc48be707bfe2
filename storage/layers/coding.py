"""The base class of layers that store the body of an entry in another form."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from dataclasses import replace
from typing import Any

from database.core.context import Context
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Scan
from storage.core.operations import Search


class Unreadable(Exception):
    """A body cannot be brought back to its form; the message says why."""


class Coding(ABC):
    """Writes each body in another form, and reads it back.

    A store reads what it wrote without the layer, and with it what was written before: the headers of an entry say
    which form it has.
    """

    @abstractmethod
    def encoded(self, entry: Stored) -> Stored:
        """The entry with the body in the other form, and with the headers that are needed to read it."""

    @abstractmethod
    def decoded(self, entry: Stored) -> Stored:
        """The entry of :meth:`encoded`; another one as it is. :raises Unreadable: if the body is not what it was."""

    def around(self, inner: Handler) -> Handler:
        """The stage around the next one."""

        def call(operation: Operation, context: Context) -> Result:
            result = inner(self._sent(operation), context)
            if _has_bodies(operation):
                result.value = self._received(result.value)
            return result

        return call

    def _sent(self, operation: Operation) -> Operation:
        if isinstance(operation, Put):
            return Put(self.encoded(operation.entry), operation.expected)
        if isinstance(operation, Batch):
            return replace(operation, operations=tuple(map(self._sent, operation.operations)))
        return operation

    def _received(self, value: Any) -> Any:
        if isinstance(value, Stored):
            return self._readable(value)
        if isinstance(value, list):
            return [self._received(one) for one in value]
        # An entry that was found by a search has a score.
        return (self._readable(value[0]), *value[1:]) if isinstance(value, tuple) else value

    def _readable(self, entry: Stored) -> Stored:
        if DAMAGED in entry.headers:
            return entry
        try:
            return self.decoded(entry)
        except Unreadable as error:
            # One of many does not keep the others from being read.
            return Stored.damaged(entry.key, str(error), entry.stored_at)


def _has_bodies(operation: Operation) -> bool:
    if isinstance(operation, Fetch):
        return not operation.head
    return isinstance(operation, Search) or (isinstance(operation, Scan) and operation.bodies)
