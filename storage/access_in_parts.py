"""The access rules of a store whose bodies are written and read in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Final

from database.core.context import Context
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.access import StoreAccess
from storage.core.capabilities import StoreCapabilities
from storage.core.operations import Fetch
from storage.core.operations import Link
from storage.core.operations import Put
from storage.core.operations import Read
from storage.core.operations import Upload

_GRANTED: Final = Result(value=object())

_WHOLE: Final[dict[type[Operation], Callable[[Any], Operation]]] = {
    Read: lambda read: Fetch(read.key, head=True),
    Link: lambda link: Fetch(link.key, head=True),
    Upload: lambda upload: Put(upload.entry, upload.expected),
}
"""The operation on a whole entry that requires the same rights."""


class AccessInParts(StoreAccess):
    """The rules of :class:`StoreAccess`; what they permit with a whole body, they permit with its parts."""

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        return inner

    def around(self, inner: Handler) -> Handler:
        """The stage around the next one."""
        whole, asked = super().around(inner), super().around(_grant)

        def call(operation: Operation, context: Context) -> Result:
            alike = _WHOLE.get(type(operation))
            if alike is None:
                return whole(operation, context)
            # Without a grant, it is the result for entries that the caller does not find.
            result = asked(alike(operation), context)
            return inner(operation, context) if result is _GRANTED else result

        return call


def _grant(_: Operation, __: Context) -> Result:
    return _GRANTED
