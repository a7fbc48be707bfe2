"""Streamed responses: their chunks are generated after the request, with its caller but without its transaction."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any
from typing import Protocol
from typing import runtime_checkable

from database.core.context import Context
from database.core.context import active_unit
from database.core.context import current_context
from database.unit_of_work import UnitOfWork


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> object: ...


class Stream:
    """The chunks of a streamed response, generated with a closed unit of work and the request's caller.

    Flask reads them after the teardown of the request, when neither is set any more, and a server may read them in
    another thread. The request's deadline does not apply to them.
    """

    def __init__(self, pieces: Iterable[Any], caller: Context) -> None:
        self._pieces = pieces
        self._iterator = iter(pieces)
        self._caller = replace(caller, deadline=math.inf)

    @cached_property
    def _variables(self) -> contextvars.Context:
        variables = contextvars.copy_context()
        variables.run(active_unit.set, UnitOfWork.over())
        variables.run(current_context.set, self._caller)
        return variables

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._variables.run(next, self._iterator)

    def close(self) -> None:
        """Close the iterable of the chunks; called after the last chunk, or when the client disconnects."""
        if isinstance(self._pieces, _Closable):
            self._variables.run(self._pieces.close)

    def __del__(self) -> None:
        # For a stream that was neither read to its end nor closed: its cleanup needs the same context variables.
        self.close()
