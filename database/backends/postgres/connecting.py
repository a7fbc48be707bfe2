"""Errors of failed connection attempts to PostgreSQL; each message names the setting to correct.

libpq reports such failures only as text: its own, or the server's after ``FATAL:``, which is in English unless the
server is configured otherwise. Unrecognised text results in a general message; the text remains in ``__cause__``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final

from database.core.errors import ConnectFailed
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import Throttled


@dataclass(frozen=True, slots=True)
class Place:
    """The target of a connection attempt, for messages; does not contain the password.

    :ivar settings: prefix of the names of its settings, such as ``SUPABASE_DB``; or, if it ends in ``_URL``, the one
        setting that has all of them.
    """

    host: str
    port: int
    user: str
    database: str
    settings: str

    @classmethod
    def of(cls, config: Mapping[str, Any], settings: str) -> Place:
        """From an adapter's configuration."""
        return cls(
            str(config.get("host", "127.0.0.1")),
            int(config.get("port", 5432)),
            str(config.get("user") or ""),
            str(config.get("database", "postgres")),
            settings,
        )

    @property
    def is_url(self) -> bool:
        """Whether one setting has all of them."""
        return self.settings.endswith("_URL")

    def named(self, *parts: str) -> str:
        """The names of the settings with these endings."""
        return self.settings if self.is_url else " and ".join(f"{self.settings}_{part}" for part in parts)

    @property
    def sslmode(self) -> str:
        """How the TLS mode is set: a name, to which ``=require`` may be added."""
        return f"{self.settings} with sslmode" if self.is_url else f"{self.settings}_SSLMODE"

    @property
    def limit(self) -> str:
        """What limits the connections."""
        return "the number of processes" if self.is_url else f"{self.settings}_MAX_CONNECTIONS"


class Misdirected(ConnectFailed):
    """The settings name a host, database or TLS mode that does not exist; an immediate retry would not help."""

    retryable = False


_Make = Callable[[Place], DataError]


def _refused(place: Place) -> DataError:
    return CredentialsRefused(
        f"the server at {place.host}:{place.port} rejected the user or the password; check"
        f" {place.named('USER', 'PASSWORD')}"
    )


def _no_database(place: Place) -> DataError:
    return Misdirected(
        f"the server at {place.host}:{place.port} has no database {place.database!r}; check {place.named('NAME')}"
    )


def _unknown_host(place: Place) -> DataError:
    return Misdirected(f"the host name {place.host!r} cannot be resolved; check {place.named('HOST')}")


def _nobody(place: Place) -> DataError:
    where = place.named("HOST", "PORT")
    return ConnectFailed(f"no server is listening at {place.host}:{place.port}; start PostgreSQL or check {where}")


def _not_admitted(place: Place) -> DataError:
    return CredentialsRefused(
        f"pg_hba.conf of the server at {place.host}:{place.port} does not admit this user from this host; try"
        f" {place.sslmode}=require if the server requires TLS, or another user ({place.named('USER')})"
    )


def _no_tls(place: Place) -> DataError:
    where = f"{place.host}:{place.port}"
    return Misdirected(f"the server at {where} does not support TLS, which {place.sslmode} requires")


def _bad_certificate(place: Place) -> DataError:
    where = f"{place.host}:{place.port}"
    return Misdirected(
        f"the TLS certificate of {where} could not be verified, as {place.sslmode} requires; check the"
        " certificate and the root certificates"
    )


def _full(place: Place) -> DataError:
    return Throttled(
        f"the server at {place.host}:{place.port} has no free connection slots; raise its max_connections or lower"
        f" {place.limit}"
    )


def _starting(place: Place) -> DataError:
    return ConnectFailed(f"the server at {place.host}:{place.port} is starting up or shutting down; retry later")


def _silent(place: Place) -> DataError:
    return ConnectFailed(
        f"the server at {place.host}:{place.port} does not respond; check {place.named('HOST')} and the firewall"
    )


def _otherwise(place: Place) -> DataError:
    return ConnectFailed(f"the connection to the server at {place.host}:{place.port} was refused or closed")


_REASONS: Final[tuple[tuple[re.Pattern[str], _Make], ...]] = tuple(
    (re.compile(pattern, re.I), make)
    for pattern, make in (
        (r"password authentication failed|authentication failed|no password supplied|role .* does not exist", _refused),
        (r"tenant or user not found|no such user|is not permitted to log in|wrong password", _refused),
        (r"database .* does not exist|no such database", _no_database),
        (r"no pg_hba.conf entry|pg_hba.conf rejects", _not_admitted),
        (r"failed to resolve host|could not translate host name|name or service not known", _unknown_host),
        (r"does not support SSL", _no_tls),
        (r"certificate", _bad_certificate),
        (r"too many (clients|connections)|connection slots are reserved|no more connections allowed", _full),
        (r"database system is (starting up|shutting down|in recovery)|not yet accepting connections", _starting),
        (r"connection refused", _nobody),
        (r"timeout expired|timed out|no route to host|network is unreachable", _silent),
    )
)


def connect_failure(error: BaseException, place: Place) -> DataError:
    """The data layer's error for a connection attempt that failed with ``error``.

    The caller raises it ``from`` the original.
    """
    text = str(error)
    return next((make for pattern, make in _REASONS if pattern.search(text)), _otherwise)(place)
