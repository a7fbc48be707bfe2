"""psycopg's connection pool, configured for a server that may become unavailable and recover."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool
from psycopg_pool import PoolTimeout

from database.backends.postgres.connecting import Place
from database.backends.postgres.connecting import connect_failure
from database.backends.postgres.connection import Attempts
from database.backends.postgres.connection import PostgresConnection
from database.backends.postgres.dialect import configure
from database.backends.postgres.dialect import configure_pooled
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import PoolExhausted

logger = logging.getLogger("psycopg.pool")
# The pool logs every failed attempt; the circuit breaker and the status page report the outage once.
logger.setLevel(logging.CRITICAL)

_CONNECT_SECONDS = 5
# After this time the next caller triggers a new attempt at once, instead of waiting for the pool's growing backoff.
_RECONNECT_SECONDS = 1.0
_PATIENCE = 0.25
_HOUSEKEEPING_SECONDS = 60.0


class PostgresPool:
    """Connections to one server as one user.

    A released connection is kept in an idle list for the next caller, at a fifth of the cost of psycopg's own queue. It
    returns to that queue only if a caller waits there, or after a minute for psycopg's housekeeping.

    :param config: the adapter's configuration.
    :param timeout: seconds a statement may take on the server; 0 for no limit.
    :param settings: prefix of the names of the settings, for messages.
    """

    def __init__(self, config: Mapping[str, Any], timeout: float, settings: str) -> None:
        self._place = Place.of(config, settings)
        self._attempts = Attempts()
        self._wait = float(config.get("pool_timeout", 5.0))
        self._idle: deque[PostgresConnection] = deque()
        self._out: set[PostgresConnection] = set()
        self._waiting = 0
        self._lock = threading.Lock()
        self._pool: ConnectionPool[PostgresConnection] = ConnectionPool(
            kwargs={**_parameters(config, timeout), "attempts": self._attempts},
            connection_class=PostgresConnection,
            min_size=int(config.get("min_connections", 1)),
            max_size=int(config.get("max_connections", 10)),
            open=False,
            configure=configure_pooled if config.get("pooler") else configure,
            timeout=self._wait,
            reconnect_timeout=_RECONNECT_SECONDS,
        )

    def open(self) -> None:
        """Start connecting in the background."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close all idle connections, and the others when they are released."""
        self._hand_over()
        self._pool.close(timeout=1.0)

    def acquire(self, context: Context) -> PostgresConnection:
        """Return a live connection, waiting for one until the deadline at most.

        :raises ConnectFailed: if the server does not accept connections; states the reason if known.
        :raises CredentialsRefused: if the server rejects the user or the password.
        :raises Throttled: if the server has no free connection slot.
        :raises PoolExhausted: if all connections remain in use.
        """
        began: float | None = None
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                began = monotonic() if began is None else began
                connection = self._take_from_pool(min(context.deadline, began + self._wait))
            if connection.is_alive():
                return connection
            # The pool replaces a closed connection at once; its own check would cause a backoff of seconds.
            connection.close()
            self._put_back(connection)

    def release(self, connection: PostgresConnection) -> None:
        """Return a connection to the pool, which replaces a broken one."""
        due = monotonic() - connection.taken_at > _HOUSEKEEPING_SECONDS or self._pool.closed
        if due or self._has_waiters() or not connection.is_idle():
            self._put_back(connection)
            return
        self._idle.append(connection)
        # Check again: a caller counts itself as waiting before it looks in the idle list, so one that missed this
        # connection is counted by now.
        if self._has_waiters():
            self._hand_over()

    def counts(self) -> dict[str, int]:
        """Current numbers of open connections, idle connections and waiting callers."""
        stats = self._pool.get_stats()
        return {
            "pool_size": stats.get("pool_size", 0),
            "pool_available": stats.get("pool_available", 0) + len(self._idle),
            "requests_waiting": stats.get("requests_waiting", 0),
        }

    def problem(self) -> str | None:
        """The reason why the last connection attempt failed; None if it succeeded."""
        failure = self._attempts.failure
        return None if failure is None else str(connect_failure(failure, self._place))

    def _take_from_pool(self, deadline: float) -> PostgresConnection:
        with self._lock:
            self._waiting += 1
        try:
            connection = self._take_idle() or self._wait_for_connection(deadline)
        except PoolTimeout as error:
            if self._out:
                remedy = "" if self._place.is_url else f"raise {self._place.limit} or "
                raise PoolExhausted(
                    f"all {len(self._out)} connections to PostgreSQL remained in use; {remedy}shorten transactions"
                ) from error
            raise self._failure(error) from self._reason(error)
        except psycopg.OperationalError as error:
            raise self._failure(error) from self._reason(error)
        finally:
            with self._lock:
                self._waiting -= 1
        self._out.add(connection)
        connection.taken_at, connection.give_back = monotonic(), self.release
        return connection

    def _wait_for_connection(self, deadline: float) -> PostgresConnection:
        failed_before = self._failed_attempts()
        while monotonic() < deadline:
            # Those in use may all be lost meanwhile: then the pool connects again only for a caller who asks again.
            patience = _RECONNECT_SECONDS if self._out else _PATIENCE
            try:
                return self._pool.getconn(timeout=min(_seconds_until(deadline), patience))
            except PoolTimeout as error:
                # While none is in use, none can be released: waiting only helps if the server accepts a new one.
                if not self._out:
                    self._refuse_if_down(failed_before, error)
        return self._pool.getconn(timeout=_seconds_until(deadline))

    def _hand_over(self) -> None:
        """Return all connections of the idle list to psycopg's pool."""
        while (connection := self._take_idle()) is not None:
            self._put_back(connection)

    def _put_back(self, connection: PostgresConnection) -> None:
        self._out.discard(connection)
        self._pool.putconn(connection)

    def _take_idle(self) -> PostgresConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _has_waiters(self) -> bool:
        return self._waiting > 0

    def _failed_attempts(self) -> int:
        return self._pool.get_stats().get("connections_errors", 0)

    def _refuse_if_down(self, failed_before: int, error: PoolTimeout) -> None:
        """Raise if the server is down, where the pool would only wait: if an attempt has failed since, or if the port
        cannot be connected to.
        """
        failed: BaseException | None = error if self._failed_attempts() > failed_before else self._port_problem()
        if failed is not None:
            raise self._failure(failed) from self._reason(failed)

    def _failure(self, error: BaseException) -> DataError:
        return connect_failure(self._reason(error), self._place)

    def _reason(self, error: BaseException) -> BaseException:
        """The failure of the last connection attempt, if known; the pool's own ``error`` only reports a timeout."""
        return self._attempts.failure or error

    def _port_problem(self) -> OSError | None:
        try:
            socket.create_connection((self._place.host, self._place.port), timeout=_PATIENCE).close()
        except OSError as error:
            return error
        return None


def _seconds_until(deadline: float) -> float:
    return max(0.001, deadline - monotonic())


def _parameters(config: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    parameters = {
        "host": config.get("host"),
        "port": config.get("port", 5432),
        "user": config.get("user"),
        "password": config.get("password"),
        "dbname": config.get("database", "postgres"),
        "sslmode": config.get("sslmode", "prefer"),
        "application_name": "isthmus",
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "autocommit": True,
        "prepare_threshold": 5,
    }
    if config.get("pooler"):
        # A pooler gives the server connection to another client after each transaction, so no state may remain on it.
        parameters["prepare_threshold"] = None
    else:
        limit = f" -c statement_timeout={int(timeout * 1000)}" if timeout else ""
        isolation = str(config.get("isolation", "serializable")).replace(" ", r"\ ")
        # The level for calls outside a transaction, which send no BEGIN.
        parameters["options"] = f"-c timezone=UTC -c default_transaction_isolation={isolation}{limit}"
    return {key: value for key, value in parameters.items() if value is not None or key == "prepare_threshold"}
