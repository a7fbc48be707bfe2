"""Why a PostgreSQL server cannot be connected to, in words that name what to change.

libpq gives no code for it, only a text: its own, or the server's behind ``FATAL:``, which is English unless the
server was told to speak otherwise. What is not recognised is told in general words; the text is the ``__cause__``.
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
    """Where a connection was to go, for messages; without the password.

    :ivar settings: what the names of its settings begin with, such as ``SUPABASE_DB``.
    """

    host: str
    port: int
    user: str
    database: str
    settings: str

    @classmethod
    def of(cls, config: Mapping[str, Any], settings: str) -> Place:
        """As an adapter's configuration says."""
        return cls(
            str(config.get("host", "127.0.0.1")),
            int(config.get("port", 5432)),
            str(config.get("user") or ""),
            str(config.get("database", "postgres")),
            settings,
        )


class Misdirected(ConnectFailed):
    """The settings name something that is not there; trying again at once does not help."""

    retryable = False


_Make = Callable[[Place], DataError]


def _refused(place: Place) -> DataError:
    return CredentialsRefused(
        f"the server at {place.host}:{place.port} does not accept the user or the password in"
        f" {place.settings}_USER and {place.settings}_PASSWORD"
    )


def _no_database(place: Place) -> DataError:
    return Misdirected(
        f"the server at {place.host}:{place.port} has no database {place.database!r} ({place.settings}_NAME)"
    )


def _unknown_host(place: Place) -> DataError:
    return Misdirected(f"the host name {place.host!r} is not known ({place.settings}_HOST)")


def _nobody(place: Place) -> DataError:
    where = f"{place.settings}_HOST and {place.settings}_PORT"
    return ConnectFailed(f"the server takes no connections: nothing listens at {place.host}:{place.port} ({where})")


def _not_admitted(place: Place) -> DataError:
    return CredentialsRefused(
        f"the server at {place.host}:{place.port} does not let this user in from here (pg_hba.conf); it may demand TLS,"
        f" as {place.settings}_SSLMODE=require does, or know another {place.settings}_USER"
    )


def _no_tls(place: Place) -> DataError:
    where = f"{place.host}:{place.port}"
    return Misdirected(f"the server at {where} offers no TLS, which {place.settings}_SSLMODE demands")


def _bad_certificate(place: Place) -> DataError:
    where = f"{place.host}:{place.port}"
    return Misdirected(f"the TLS certificate of {where} is not acceptable to {place.settings}_SSLMODE")


def _full(place: Place) -> DataError:
    return Throttled(f"the server at {place.host}:{place.port} has no free connection slots")


def _starting(place: Place) -> DataError:
    return ConnectFailed(f"the server takes no connections: {place.host}:{place.port} is starting or stopping")


def _silent(place: Place) -> DataError:
    return ConnectFailed(f"the server at {place.host}:{place.port} does not answer ({place.settings}_HOST)")


def _otherwise(place: Place) -> DataError:
    return ConnectFailed(f"the server takes no connections: {place.host}:{place.port} broke off or refused the attempt")


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
    """The data layer's error for an attempt to connect that ended with ``error``.

    The caller raises it ``from`` the original.
    """
    text = str(error)
    return next((make for pattern, make in _REASONS if pattern.search(text)), _otherwise)(place)
