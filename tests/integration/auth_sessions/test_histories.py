"""Random histories of sessions against a model: lost answers, failed commits, late tokens, and clocks that step."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from auth.errors import InvalidToken
from auth.errors import SessionEnded
from auth.errors import SessionExpired
from auth.sessions.refresh_tokens import RefreshToken
from auth.sessions.revocation import Revocation
from auth.sessions.sessions import REUSE_SECONDS
from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import TOKENS
from auth.sessions.sessions import Sessions
from database.backends.faulty import Fault
from database.backends.faulty import Faults
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.core.errors import BackendError
from tests.clocks import ManualClock
from tests.clocks import WallClock
from tests.integration.auth_sessions.support import IDLE
from tests.integration.auth_sessions.support import LIFETIME
from tests.integration.auth_sessions.support import make_sessions
from tests.integration.auth_sessions.support import stored

USERS = ("ada", "bob")
TOKEN_LIFE = timedelta(minutes=15)
LEEWAY = timedelta(seconds=30)
BOUND = 2.0  # seconds
MAX_SKEW = 30  # seconds

PASSING = (0.5, 2.0, REUSE_SECONDS, REUSE_SECONDS + 0.5, 600.0, 86_400.0, IDLE.total_seconds(), 30 * 86_400.0)
FATES: tuple[Fault | None, ...] = (None, None, None, "error_after_commit", "cut", "refuse")
APPLIED = (None, "error_after_commit")


@dataclass
class KnownSession:
    """A session as it should be."""

    id: str
    user: str
    last_used: datetime
    expires: datetime
    ended_at: float | None = None
    ended_by: int | None = None


@dataclass
class KnownToken:
    """A refresh token that a client has, or has had.

    :ivar sealed: whether its successor may still be had again.
    """

    token: RefreshToken
    session: KnownSession
    used_at: datetime | None = None
    sealed: bool = False
    successor: RefreshToken | None = None


@dataclass
class Process:
    """One of the application's processes."""

    number: int
    sessions: Sessions
    revocation: Revocation


@dataclass
class Access:
    """An access token."""

    session: KnownSession
    issued_at: datetime = field(repr=False)


processes = st.integers(0, 1)
picks = st.integers(0, 1_000)
fates = st.sampled_from(FATES)


class SessionHistory(RuleBasedStateMachine):
    """Two processes on one database; a client keeps all tokens that it ever got, and a thief has them, too."""

    def __init__(self) -> None:
        super().__init__()
        self.wall, self.time, self.skew = WallClock(), ManualClock(), 0
        config = {"retry_count": 0, "circuit_breaker_threshold": 0}
        self.adapter = FaultyAdapter(MemoryAdapter(), config=config)
        self.processes = [self._process(number) for number in range(2)]
        self.sessions: list[KnownSession] = []
        self.tokens: list[KnownToken] = []
        self.accesses: list[Access] = []

    def _process(self, number: int) -> Process:
        revocation = Revocation(
            self.adapter, token_life=TOKEN_LIFE, policy="reads", max_stale=30, clock=self.time, now=self.wall
        )
        return Process(number, make_sessions(self.adapter, self.wall, on_end=revocation.add), revocation)

    @rule(process=processes, user=st.sampled_from(USERS))
    def signs_in(self, process: int, user: str) -> None:
        grant = self.processes[process].sessions.begin(user)
        session = KnownSession(grant.session_id, user, self.wall(), self.wall() + LIFETIME)
        assert all(grant.session_id != known.id for known in self.sessions)
        self.sessions.append(session)
        self._receive(grant.refresh_token, session)

    @precondition(lambda self: self.tokens)
    @rule(process=processes, place=st.integers(0, 7), fate=fates, answer_arrives=st.booleans())
    def is_refreshed(self, process: int, place: int, fate: Fault | None, answer_arrives: bool) -> None:
        self._refresh(process, place, fate, answer_arrives=answer_arrives)

    @precondition(lambda self: self.tokens)
    @rule(process=processes, places=st.lists(st.integers(0, 2), min_size=2, max_size=5))
    def is_refreshed_again_and_again(self, process: int, places: list[int]) -> None:
        for place in places:
            self._refresh(process, place, None, answer_arrives=True)

    def _refresh(self, process: int, place: int, fate: Fault | None, *, answer_arrives: bool) -> None:
        """Exchange a token.

        :param place: 0 for the youngest one.
        """
        known = self.tokens[-1 - min(place, len(self.tokens) - 1)]
        expected, again = self._expected(known), known.used_at is not None
        answer = self._suffering(fate, lambda: self.processes[process].sessions.refresh(known.token.text))
        if isinstance(answer, BackendError):
            assert fate is not None
        else:
            assert isinstance(answer, expected) if expected else isinstance(answer, RefreshToken), answer
        # An error raised inside undoes nothing that had been there, and the end of a session commits.
        if fate in APPLIED or not isinstance(answer, BackendError):
            self._apply(known, expected, process, told=not isinstance(answer, BackendError))
        if isinstance(answer, RefreshToken):
            assert not again or known.successor in (None, answer)
            known.successor = answer
            if answer_arrives:
                self._receive(answer, known.session)

    @precondition(lambda self: self.sessions)
    @rule(process=processes, pick=picks, fate=fates)
    def signs_out(self, process: int, pick: int, fate: Fault | None) -> None:
        session = self.sessions[pick % len(self.sessions)]
        self._end([session], process, fate, lambda one: one.end_all(session.user, "logout_everywhere"), everywhere=True)

    @precondition(lambda self: self.sessions)
    @rule(process=processes, pick=picks, fate=fates)
    def changes_the_password(self, process: int, pick: int, fate: Fault | None) -> None:
        kept = self.sessions[pick % len(self.sessions)]
        others = [one for one in self.sessions if one.user == kept.user and one is not kept]
        self._end(others, process, fate, lambda one: one.end_all(kept.user, "password_change", keep=kept.id))

    @rule(seconds=st.sampled_from(PASSING))
    def time_passes(self, seconds: float) -> None:
        self.wall.advance(seconds)
        self.time.advance(seconds)

    @rule(skew=st.integers(-MAX_SKEW, MAX_SKEW))
    def the_clock_steps(self, skew: int) -> None:
        self.wall.advance(skew - self.skew)
        self.skew = skew

    @precondition(lambda self: self.accesses)
    @rule(process=processes, pick=picks)
    def an_access_token_is_used(self, process: int, pick: int) -> None:
        access = self.accesses[-1 - pick % len(self.accesses)]
        if self.wall() >= access.issued_at + TOKEN_LIFE + LEEWAY:
            return
        session, refused = access.session, False
        try:
            self.processes[process].revocation.check(session.id, "POST")
        except InvalidToken:
            refused = True
        if session.ended_at is None:
            assert not refused
        elif session.ended_by == process or self.time.now - session.ended_at >= BOUND:
            assert refused

    @invariant()
    def every_session_has_one_living_token_and_what_ended_stays_ended(self) -> None:
        unused = [row["session_id"] for row in stored(self.adapter.inner, TOKENS) if row["used_at"] is None]
        assert sorted(unused) == sorted(session.id for session in self.sessions)
        ended = {row["id"] for row in stored(self.adapter.inner, SESSIONS) if row["ended_at"] is not None}
        assert ended == {session.id for session in self.sessions if session.ended_at is not None}

    def teardown(self) -> None:
        self.adapter.disconnect()

    def _expected(self, known: KnownToken) -> type[Exception] | None:
        """The error that a refresh should end with."""
        session = known.session
        if session.ended_at is not None:
            return SessionEnded
        if self.wall() >= min(session.expires, session.last_used + IDLE):
            return SessionExpired
        if known.used_at is None:
            return None
        recent = abs((self.wall() - known.used_at).total_seconds()) <= REUSE_SECONDS
        return None if recent and known.sealed else SessionEnded

    def _apply(self, known: KnownToken, error: type[Exception] | None, process: int, *, told: bool) -> None:
        if error is not None:
            self._note_end(known.session, process if told else None)
        elif known.used_at is None:
            for one in self.tokens:
                one.sealed = one.sealed and one.session is not known.session
            known.used_at, known.sealed = self.wall(), True
            known.session.last_used = self.wall()

    def _end(
        self, sessions: list[KnownSession], process: int, fate: Fault | None, end: Any, *, everywhere: bool = False
    ) -> None:
        if everywhere:
            sessions = [one for one in self.sessions if one.user == sessions[0].user]
        answer = self._suffering(fate, lambda: end(self.processes[process].sessions))
        assert isinstance(answer, BackendError) == (fate is not None)
        for session in sessions if fate in APPLIED else ():
            self._note_end(session, process if fate is None else None)

    def _note_end(self, session: KnownSession, process: int | None) -> None:
        if session.ended_at is None:
            session.ended_at, session.ended_by = self.time.now, process

    def _receive(self, token: RefreshToken, session: KnownSession) -> None:
        if all(known.token != token for known in self.tokens):
            self.tokens.append(KnownToken(token, session))
        self.accesses.append(Access(session, self.wall()))

    def _suffering(self, fate: Fault | None, call: Any) -> Any:
        """What a call returns, a grant's token, or its error."""
        self.adapter.faults = Faults()
        if fate is not None:
            self.adapter.faults.next(fate)
        try:
            answer = call()
        except (SessionEnded, SessionExpired, BackendError) as error:
            return error
        finally:
            self.adapter.faults = Faults()
        return getattr(answer, "refresh_token", answer)


SessionHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSessionHistory = SessionHistory.TestCase
