"""Sessions: they start at sign-in, continue with each refresh, and end for good.

A refresh token can be exchanged once. If the response was lost, or two tabs send the same token, a repeated exchange
returns the *same* successor: within ``REUSE_SECONDS``, and until the successor is used. A later reuse means that the
token was copied, and ends the session. So a token never has more than one valid successor.

A refresh that finds an expired session ends it, so a clock that is set back does not revive it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from typing import Final

from auth.errors import AuthError
from auth.errors import InvalidRefreshToken
from auth.errors import SessionEnded
from auth.errors import SessionExpired
from auth.errors import UnknownSession
from auth.sessions.refresh_tokens import RefreshToken
from database.adapter.interface import Database
from database.core.clock import utc_now
from database.core.context import active_unit
from database.core.context import as_application
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import new_id
from database.unit_of_work import UnitOfWork
from database.unit_of_work import own_transaction

logger = logging.getLogger(__name__)

SESSIONS: Final = "isthmus_sessions"
TOKENS: Final = "isthmus_refresh_tokens"
REUSE: Final = "refresh_reuse"
EXPIRED: Final = "expired"
REPLACED: Final = "replaced"

REUSE_SECONDS: Final = 10.0
MAX_LISTED: Final = 1000
MAX_USER_AGENT: Final = 255

OnEnd = Callable[[Sequence[str]], None]
Work = Callable[[], object]


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Grant:
    """The result of a sign-in or of a refresh.

    :ivar lasts_until: when the session expires without another refresh.
    """

    session_id: str
    user_id: str
    refresh_token: RefreshToken = field(repr=False)
    lasts_until: datetime


@dataclass(frozen=True, slots=True)
class UserSession:
    """An active session, as shown to its user."""

    id: str
    created_at: datetime
    last_used_at: datetime
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class _Refused:
    """The result of a refresh that ended the session. Not an exception, because the transaction must commit."""

    error: AuthError
    reason: str
    session: Row


class Sessions:
    """The sessions in a database. It calls the database as the application.

    :param database: the database with the tables.
    :param idle: how long a session lasts without a refresh.
    :param lifetime: how long a session lasts at most.
    :param on_end: called after the commit with the ids of ended sessions.
    :param now: the wall clock, timezone-aware.
    """

    def __init__(
        self,
        database: Database,
        *,
        idle: timedelta,
        lifetime: timedelta,
        on_end: OnEnd = lambda _ids: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._idle = idle
        self._lifetime = lifetime
        self._on_end = on_end
        self._now = now

    def begin(self, user_id: str, user_agent: str | None = None, *, replacing: object = None) -> Grant:
        """Start a session in the current unit of work.

        :param user_agent: the client's ``User-Agent``, shown to the user; truncated to 255 characters.
        :param replacing: the refresh token of the client's earlier sign-in, whose session ends; ignored if invalid.
        """
        now, token, session_id = self._now(), RefreshToken.new(), new_id()
        expires_at = now + self._lifetime
        self._end_replaced(replacing)
        session = {"id": session_id, "user_id": user_id, "last_used_at": now, "expires_at": expires_at}
        session["user_agent"] = _shown(user_agent)
        first = {"id": token.id, "session_id": session_id}
        self._run(Batch((Insert(SESSIONS, [session], returning=False), Insert(TOKENS, [first], returning=False))))
        return Grant(session_id, user_id, token, min(now + self._idle, expires_at))

    def refresh(self, text: object) -> Grant:
        """Exchange a refresh token for its successor, in a transaction of its own.

        If it ends the session, that is committed, whatever response the caller sends.

        :raises InvalidRefreshToken: if the token is unknown.
        :raises SessionExpired: if the session was idle for too long or has reached its maximum age.
        :raises SessionEnded: if the session has ended, or ends now because the token was reused.
        :raises BackendError: if the database cannot answer; the token may still be valid.
        """
        token = RefreshToken.parse(text)
        answer = own_transaction(self._database, lambda: self._exchange(token))
        if isinstance(answer, _Refused):
            self._report(answer)
            raise answer.error
        return answer

    def find_session_id(self, text: object) -> str | None:
        """The id of a refresh token's session, even if the token is used; None if the token is unknown."""
        try:
            token = RefreshToken.parse(text)
        except InvalidRefreshToken:
            return None
        row = self._run(Get(TOKENS, token.id, ("session_id",))).first
        return None if row is None else str(row["session_id"])

    def list_active(self, user_id: str) -> list[UserSession]:
        """The user's active sessions, last used first, at most ``MAX_LISTED``."""
        now = self._now()
        fresh = Where("expires_at", "gt", now) & Where("last_used_at", "gt", now - self._idle)
        where = Where("user_id", "eq", user_id) & Where("ended_at", "is_null", True) & fresh
        columns = ("id", "created_at", "last_used_at", "user_agent")
        order = (Order("last_used_at", descending=True),)
        return [UserSession(**row) for row in self._run(Select(SESSIONS, columns, where, order, MAX_LISTED))]

    def end(self, session_id: str, user_id: str, reason: str) -> None:
        """End one session of the user, in a transaction of its own.

        :raises UnknownSession: if the user has no active session with this id.
        """
        mine = Where("id", "eq", session_id) & Where("user_id", "eq", user_id)
        if not self._end_atomically(mine, reason):
            raise UnknownSession

    def end_all(
        self, user_id: str, reason: str, *, keep: str | None = None, together_with: Work = _nothing
    ) -> list[str]:
        """End the user's sessions, in a transaction of its own, and return their ids.

        :param keep: the id of a session that stays active.
        :param together_with: work to do in the same transaction.
        """
        where: Filter = Where("user_id", "eq", user_id)
        if keep is not None:
            where &= Where("id", "neq", keep)
        return self._end_atomically(where, reason, together_with)

    def _exchange(self, token: RefreshToken) -> Grant | _Refused:
        now = self._now()
        known = self._run(Get(TOKENS, token.id)).first
        session = None if known is None else self._run(Get(SESSIONS, known["session_id"])).first
        if known is None or session is None:
            raise InvalidRefreshToken
        if session["ended_at"] is not None:
            raise SessionEnded
        if now >= session["expires_at"] or now >= session["last_used_at"] + self._idle:
            return self._refuse(session, EXPIRED, SessionExpired())
        if known["used_at"] is None:
            return self._rotate(token, known, session, now)
        successor = self._recoverable_successor(token, known, now)
        if successor is None:
            return self._refuse(session, REUSE, SessionEnded())
        return self._grant(session, successor, session["last_used_at"])

    def _rotate(self, token: RefreshToken, known: Row, session: Row, now: datetime) -> Grant:
        successor = RefreshToken.new()
        used = {"used_at": now, "sealed_successor": token.seal(successor)}
        sealed = Where("session_id", "eq", session["id"]) & Where("sealed_successor", "is_null", False)
        # The expected versions detect a concurrent exchange if the isolation level is below serializable.
        steps: list[Operation] = [
            Update(TOKENS, {"sealed_successor": None}, where=sealed, returning=False),
            Update(TOKENS, used, token.id, expected_version=known["version"], returning=False),
            Insert(TOKENS, [{"id": successor.id, "session_id": session["id"]}], returning=False),
            Update(
                SESSIONS, {"last_used_at": now}, session["id"], expected_version=session["version"], returning=False
            ),
        ]
        for step in steps:
            self._run(step)
        return self._grant(session, successor, now)

    def _recoverable_successor(self, token: RefreshToken, known: Row, now: datetime) -> RefreshToken | None:
        """The successor of a used token, if the token may still be exchanged again."""
        # Absolute difference: the clock of the process that exchanged the token may be ahead of ours.
        recent = abs((now - known["used_at"]).total_seconds()) <= REUSE_SECONDS
        sealed = known["sealed_successor"]
        return token.unseal(sealed) if recent and sealed is not None else None

    def _grant(self, session: Row, token: RefreshToken, used_at: datetime) -> Grant:
        lasts_until = min(used_at + self._idle, session["expires_at"])
        return Grant(session["id"], session["user_id"], token, lasts_until)

    def _refuse(self, session: Row, reason: str, error: AuthError) -> _Refused:
        self._end(Where("id", "eq", session["id"]), reason)
        return _Refused(error, reason, session)

    def _report(self, refused: _Refused) -> None:
        session = refused.session
        if refused.reason == REUSE:
            logger.warning(
                "a refresh token was reused, so session %s of user %s was ended", session["id"], session["user_id"]
            )
        self._on_end([session["id"]])

    def _end_replaced(self, refresh_token: object) -> None:
        session_id = self.find_session_id(refresh_token)
        ended = [] if session_id is None else self._end(Where("id", "eq", session_id), REPLACED)
        unit = active_unit.get()
        if isinstance(unit, UnitOfWork):
            unit.after_commit(lambda: self._on_end(ended))
        else:
            self._on_end(ended)

    def _end_atomically(self, where: Filter, reason: str, together_with: Work = _nothing) -> list[str]:
        def end() -> list[str]:
            together_with()
            return self._end(where, reason)

        ended = own_transaction(self._database, end)
        self._on_end(ended)
        return ended

    def _end(self, where: Filter, reason: str) -> list[str]:
        values = {"ended_at": self._now(), "end_reason": reason}
        living = where & Where("ended_at", "is_null", True)
        return self._run(Update(SESSIONS, values, where=living)).ids

    def _run(self, operation: Operation) -> Result:
        with as_application():
            return self._database.run(operation)


def _shown(user_agent: str | None) -> str | None:
    """The printable characters, which every database can store."""
    text = "".join(character for character in user_agent or "" if character.isprintable())
    return text[:MAX_USER_AGENT] or None
