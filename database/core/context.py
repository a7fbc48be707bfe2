"""The context of an operation: its deadline, the caller's identity, and the unit of work it belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import field
from functools import wraps
from typing import TYPE_CHECKING
from typing import Any
from typing import ParamSpec
from typing import Protocol
from typing import TypeVar

from database.core.clock import monotonic
from database.core.immutable import immutable

if TYPE_CHECKING:
    from database.core.operations import Operation
    from database.core.result import Result

P = ParamSpec("P")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller's identity, as a plain value. The data layer trusts it and never verifies a token itself.

    :param subject: the user's id, or None if the caller is not signed in.
    :param role: the *database* role: ``anon``, ``authenticated`` or ``service_role``.
    :param claims: the verified claims, for row level security. Not part of ``repr``.
    :param token: the caller's access token, for backends that verify it themselves. Not part of ``repr``.
    """

    subject: str | None = None
    role: str = "anon"
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    token: str | None = field(default=None, repr=False, compare=False)


ANONYMOUS = Identity()
SERVICE = Identity(role="service_role")
"""The application itself, which may do everything."""


@immutable
class Context:
    """The context of a call.

    :ivar deadline: monotonic seconds at which the caller stops waiting; ``inf`` for no limit.
    :ivar identity: the caller; None if none was set. Such a call is refused in a Flask app; elsewhere it is the
        application's own.
    :ivar transaction: the :class:`~database.adapter.transactions.Transaction` that the call belongs to; None for a
        call outside of a transaction.
    """

    deadline: float = math.inf
    identity: Identity | None = None
    transaction: Any = None

    def until(self, deadline: float) -> Context:
        """The same context with the earlier of its own deadline and ``deadline``."""
        return self if deadline >= self.deadline else Context(deadline, self.identity, self.transaction)

    def inside(self, transaction: Any, deadline: float) -> Context:
        """The same context inside a transaction that has its own deadline."""
        return Context(min(deadline, self.deadline), self.identity, transaction)

    def acting_as(self, identity: Identity) -> Context:
        """The same context for another identity."""
        return Context(self.deadline, identity, self.transaction)

    def begun(self, identity: Identity | None, deadline: float) -> Context:
        """The context of a request that is handled inside this one.

        :param identity: the caller until the request is authenticated; not inherited from this context.
        """
        return Context(min(self.deadline, deadline), identity)


NO_CONTEXT = Context()
current_context: ContextVar[Context] = ContextVar("isthmus_context", default=NO_CONTEXT)


@contextmanager
def acting_as(identity: Identity) -> Iterator[None]:
    """Run the block's calls as ``identity``. :raises TypeError: for None."""
    if identity is None:
        raise TypeError("acting_as takes an Identity; the application's own calls are made in as_application()")
    token = current_context.set(current_context.get().acting_as(identity))
    try:
        yield
    finally:
        current_context.reset(token)


@contextmanager
def as_application(*, within: float = math.inf) -> Iterator[None]:
    """Run the block's calls as the application itself, which may do everything.

    :param within: seconds until the calls give up; an earlier deadline of the surrounding context still applies.
    """
    context = current_context.get().acting_as(SERVICE)
    token = current_context.set(context if within == math.inf else context.until(monotonic() + within))
    try:
        yield
    finally:
        current_context.reset(token)


@contextmanager
def on_its_own() -> Iterator[None]:
    """Run the block's calls outside of the current unit of work: they are not rolled back with it."""
    token = active_unit.set(None)
    try:
        yield
    finally:
        active_unit.reset(token)


class AmbientUnit(Protocol):
    """The part of the current unit of work that an adapter uses."""

    def run(self, source: Any, operation: Operation) -> Result:
        """Execute an ``operation`` for ``source`` inside the unit, or outside of it if it may not join."""

    def nested(self, source: Any) -> AbstractContextManager[Any]:
        """A savepoint of the unit, which must be on the source's adapter."""


class Provenance:
    """Which fallback databases have answered reads of a request, and how stale their rows may be.

    :ivar stale_for: by the fallback's name: seconds since the primary last answered.
    """

    __slots__ = ("stale_for",)

    def __init__(self) -> None:
        self.stale_for: dict[str, float] = {}

    def note(self, source: str, stale_for: float) -> None:
        """Record a result of a fallback."""
        self.stale_for[source] = max(stale_for, self.stale_for.get(source, 0.0))


current_provenance: ContextVar[Provenance | None] = ContextVar("isthmus_provenance", default=None)
"""Records the results of fallbacks; None outside of requests."""

active_unit: ContextVar[AmbientUnit | None] = ContextVar("isthmus_unit", default=None)
"""The unit of work that adapter calls of this thread join; None if there is none."""


def in_callers_name(function: Callable[P, Answer]) -> Callable[P, Answer]:
    """Wrap ``function`` for another thread: its calls have the current caller's identity and deadline.

    They do not join the unit of work of this thread: each call commits by itself, or with a ``transaction()`` that the
    function opens, and is not rolled back if the request fails.

    >>> with ThreadPoolExecutor() as pool:
    ...     pool.submit(in_callers_name(count_notes), "draft")
    """
    context = current_context.get()

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> Answer:
        outer = current_context.set(context), active_unit.set(None)
        try:
            return function(*args, **kwargs)
        finally:
            current_context.reset(outer[0])
            active_unit.reset(outer[1])

    return carried
