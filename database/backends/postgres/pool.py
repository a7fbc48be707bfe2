"""psycopg's pool, set up for a backend that may go away and come back."""

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
# The pool reports every failed attempt; the circuit breaker and the status page say it once.
logger.setLevel(logging.CRITICAL)

_CONNECT_SECONDS = 5
# Whoever needs a connection then has another one made at once, instead of after a pause that has grown.
_RECONNECT_SECONDS = 1.0
_PATIENCE = 0.25
_HOUSEKEEPING_SECONDS = 60.0


class PostgresPool:
    """Connections to one server as one user.

    What is given back stays at hand for the next caller, which costs a fifth of psycopg's own queue; it goes
    through that queue only when somebody waits there, or now and then for its housekeeping.

    :param config: the adapter's configuration.
    :param timeout: seconds a statement may take on the server; 0 for no limit.
    :param settings: what the names of the settings begin with that the configuration came from, for messages.
    """

    def __init__(self, config: Mapping[str, Any], timeout: float, settings: str) -> None:
        self._place = Place.of(config, settings)
        self._attempts = Attempts()
        self._wait = float(config.get("pool_timeout", 5.0))
        self._at_hand: deque[PostgresConnection] = deque()
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
        """Close all connections."""
        self._hand_over()
        self._pool.close(timeout=1.0)

    def acquire(self, context: Context) -> PostgresConnection:
        """A connection that was alive a moment ago; waits for one until the deadline at most.

        :raises ConnectFailed: when the server does not take connections; says why, as far as it is known.
        :raises CredentialsRefused: when it does not accept the user or the password.
        :raises Throttled: when it has no room for another connection.
        :raises PoolExhausted: when all connections stay in use.
        """
        deadline = min(context.deadline, monotonic() + self._wait)
        while True:
            connection = self._taken_at_hand() or self._from_pool(deadline)
            if connection.is_alive():
                return connection
            # What is closed the pool replaces at once; after a check of its own it would wait seconds.
            connection.close()
            self._put_back(connection)

    def release(self, connection: PostgresConnection) -> None:
        """Give a connection back; a broken one is replaced."""
        due = monotonic() - connection.taken_at > _HOUSEKEEPING_SECONDS or self._pool.closed
        if due or self._somebody_waits() or not connection.is_idle():
            self._put_back(connection)
            return
        self._at_hand.append(connection)
        # Whoever began to wait a moment ago looked here before, or is seen now: one of the two is certain.
        if self._somebody_waits():
            self._hand_over()

    def counts(self) -> dict[str, int]:
        """Connections now: open, idle, and callers that wait."""
        stats = self._pool.get_stats()
        return {
            "pool_size": stats.get("pool_size", 0),
            "pool_available": stats.get("pool_available", 0) + len(self._at_hand),
            "requests_waiting": stats.get("requests_waiting", 0),
        }

    def problem(self) -> str | None:
        """Why the last attempt to connect failed; None if it did not."""
        failure = self._attempts.failure
        return None if failure is None else str(connect_failure(failure, self._place))

    def _from_pool(self, deadline: float) -> PostgresConnection:
        with self._lock:
            self._waiting += 1
        try:
            connection = self._taken_at_hand() or self._next(deadline)
        except PoolTimeout as error:
            if self._out:
                raise PoolExhausted("all connections stayed in use") from error
            raise self._failure(error) from self._reason(error)
        except psycopg.OperationalError as error:
            raise self._failure(error) from self._reason(error)
        finally:
            with self._lock:
                self._waiting -= 1
        self._out.add(connection)
        connection.taken_at, connection.give_back = monotonic(), self.release
        return connection

    def _next(self, deadline: float) -> PostgresConnection:
        failed_before = self._failed_attempts()
        # As long as there is no connection at all, waiting is of use only while the server may yet take one.
        while not self._out and monotonic() < deadline:
            try:
                return self._pool.getconn(timeout=min(_seconds_until(deadline), _PATIENCE))
            except PoolTimeout as error:
                self._refuse_if_down(failed_before, error)
        return self._pool.getconn(timeout=_seconds_until(deadline))

    def _hand_over(self) -> None:
        """Let psycopg's pool have what is at hand."""
        while (connection := self._taken_at_hand()) is not None:
            self._put_back(connection)

    def _put_back(self, connection: PostgresConnection) -> None:
        self._out.discard(connection)
        self._pool.putconn(connection)

    def _taken_at_hand(self) -> PostgresConnection | None:
        try:
            return self._at_hand.pop()
        except IndexError:
            return None

    def _somebody_waits(self) -> bool:
        return self._waiting > 0

    def _failed_attempts(self) -> int:
        return self._pool.get_stats().get("connections_errors", 0)

    def _refuse_if_down(self, failed_before: int, error: PoolTimeout) -> None:
        """While a server is down the pool only waits; its failed attempts tell, or its port in a moment."""
        failed: BaseException | None = error if self._failed_attempts() > failed_before else self._port_problem()
        if failed is not None:
            raise self._failure(failed) from self._reason(failed)

    def _failure(self, error: BaseException) -> DataError:
        return connect_failure(self._reason(error), self._place)

    def _reason(self, error: BaseException) -> BaseException:
        """What ended the last attempt, where it is known: the pool's ``error`` is only that there is no connection."""
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
        # Between transactions a pooler hands the server connection to others: nothing may be left on it.
        parameters["prepare_threshold"] = None
    else:
        limit = f" -c statement_timeout={int(timeout * 1000)}" if timeout else ""
        isolation = str(config.get("isolation", "serializable")).replace(" ", r"\ ")
        # For calls outside of transactions, which begin none by words.
        parameters["options"] = f"-c timezone=UTC -c default_transaction_isolation={isolation}{limit}"
    return {key: value for key, value in parameters.items() if value is not None or key == "prepare_threshold"}
