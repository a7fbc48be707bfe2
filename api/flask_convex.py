"""Convex in any Flask app: adapter, unit of work for each request, authentication, and problem documents for errors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from typing import Final

from flask import Flask
from flask import has_app_context
from flask.json.provider import DefaultJSONProvider

from api.http import problem
from auth import AuthBridge
from auth import middleware
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import collect_problems
from config.settings import load_settings
from database import ConnectionManager
from database import DatabaseAdapter
from database import Deferred
from database import Isthmus
from database import TableQuery
from database import Transaction
from database import current_isthmus
from database import flask_scope
from database.core.operations import SqlParams

logger = logging.getLogger(__name__)


_ADAPTER: Final = "convex"
_SETTINGS: Final[Mapping[str, str]] = {
    "convex_url": "CONVEX_URL",
    "convex_key": "CONVEX_DEPLOYMENT_KEY",
    "timeout": "CONVEX_TIMEOUT",
    "retry_count": "CONVEX_RETRY_COUNT",
    "circuit_breaker_threshold": "CONVEX_CIRCUIT_BREAKER_THRESHOLD",
    "circuit_breaker_timeout": "CONVEX_CIRCUIT_BREAKER_TIMEOUT",
    "jwt_secret": "JWT_SECRET",
    "jwt_algorithm": "JWT_ALGORITHM",
    "jwt_private_key_file": "JWT_PRIVATE_KEY_FILE",
    "jwt_expiry": "JWT_EXPIRY_SECONDS",
    "jwt_issuer": "JWT_ISSUER",
    "jwt_audience": "JWT_AUDIENCE",
    "environment": "ENVIRONMENT",
    "instance_path": "INSTANCE_PATH",
}
"""The setting of each configuration key."""


class FlaskConvexIntegration:
    """Flask extension for Convex and authentication. Each app has its own adapter and keys.

    Methods use the app of the current app context or, outside of one, the only app of this extension.

    :param app: passed to :meth:`init_app`.
    :param config: configuration of apps whose :meth:`init_app` gets none.
    """

    def __init__(self, app: Flask | None = None, config: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._installations: list[_Installation] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, config: Mapping[str, Any] | None = None) -> None:
        """Set up ``app``: each request is a unit of work on Convex with its caller's rights, and errors are responses
        with problem documents.

        :func:`auth.middleware.init_app` describes the attributes of ``flask.g``.
        :func:`database.flask_scope.init_app` uses the time limit ``app.config["REQUEST_TIMEOUT"]``.

        :param config: ``convex_url``; ``convex_key``, the deploy key; ``timeout`` in seconds, ``retry_count``,
            ``circuit_breaker_threshold``, ``circuit_breaker_timeout`` in seconds; ``jwt_secret``, ``jwt_algorithm``,
            ``jwt_private_key_file``, ``jwt_expiry`` in seconds, ``jwt_issuer``, ``jwt_audience``; ``environment``,
            ``instance_path``. Missing keys come from the environment.
        :raises ConfigurationError: for unknown keys, and for missing or invalid settings; names each of them.
        :raises RuntimeError: if the app has this extension, or another data layer or authentication, already.
        """
        _require_bare(app)
        settings = _settings(self._config if config is None else config)
        bridge, manager = collect_problems(lambda: AuthBridge(settings=settings), lambda: ConnectionManager(settings))
        ConnectionManager.offer_instance(manager)
        app.config.setdefault("REQUEST_TIMEOUT", settings.request_timeout)
        flask_scope.init_app(app, manager)
        middleware.init_app(app, bridge)
        problem.init_app(app)
        _write_deferred(app)
        installation = _Installation(self, manager.adapters[_ADAPTER], bridge)
        Isthmus.of(app)[_Installation] = installation
        self._installations.append(installation)
        if bridge.key.algorithm == "HS256":
            logger.warning("Convex does not accept tokens signed with HS256; set JWT_ALGORITHM to ES256 or RS256")

    def get_convex_adapter(self) -> DatabaseAdapter:
        """The adapter: in a request its calls join the request's unit of work and carry the caller's token."""
        return self._here().adapter

    def get_auth_bridge(self) -> AuthBridge:
        """The object that creates and verifies access tokens."""
        return self._here().bridge

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction for all calls inside the block: it commits at the end of the block, an exception rolls it back.

        In a request, it is a savepoint of the request's unit of work.
        """
        return self.get_convex_adapter().transaction()

    def execute_query(self, query: str, params: SqlParams = None) -> Any:
        """Call a Convex function such as ``api.molecules.list`` with named arguments, or run SQL text.

        :returns: the function's return value; for SQL text the rows, or the number of affected rows.
        """
        return self.get_convex_adapter().execute_query(query, params)

    def table(self, name: str) -> TableQuery:
        """A query builder like the one of Supabase's client."""
        return self.get_convex_adapter().table(name)

    def _execute_query_in_transaction(self, transaction: Transaction, query: str, params: SqlParams = None) -> Any:
        """:meth:`execute_query` in a transaction from the adapter's ``begin_transaction()``."""
        return self.get_convex_adapter()._execute_query_in_transaction(transaction, query, params)

    def _here(self) -> _Installation:
        if has_app_context():
            if _Installation not in current_isthmus():
                raise RuntimeError("this app has no Convex integration; call init_app(app) first")
            return current_isthmus()[_Installation]
        if len(self._installations) != 1:
            count = len(self._installations)
            raise RuntimeError(f"the integration has {count} apps, not one; call it inside an app context")
        return self._installations[0]


def init_flask_convex(app: Flask, config: Mapping[str, Any] | None = None) -> FlaskConvexIntegration:
    """The present integration of ``app``, or a new one.

    :param config: see :meth:`FlaskConvexIntegration.init_app`.
    :raises ConfigurationError: for unknown keys, and for missing or invalid settings; names each of them.
    :raises RuntimeError: for a configuration if the app has an integration already.
    """
    isthmus = Isthmus.found(app)
    if _Installation in isthmus and config is None:
        return isthmus[_Installation].integration
    return FlaskConvexIntegration(app, config)


@dataclass(frozen=True, slots=True)
class _Installation:
    """The integration of one app."""

    integration: FlaskConvexIntegration
    adapter: DatabaseAdapter
    bridge: AuthBridge


def _require_bare(app: Flask) -> None:
    """Reject an app that is set up already, before changing it."""
    isthmus = Isthmus.found(app)
    if _Installation in isthmus:
        raise RuntimeError("this app has a Convex integration already; call init_app once")
    if ConnectionManager in isthmus or AuthBridge in isthmus:
        raise RuntimeError("this app has a data layer or authentication already; the integration sets up both")


def _write_deferred(app: Flask) -> None:
    """Extend Flask's default JSON provider to write the value of a ``Deferred``. Another provider is not changed."""
    provider = app.json
    if not isinstance(provider, DefaultJSONProvider):
        return
    usual = provider.default
    provider.default = lambda value: value.value if isinstance(value, Deferred) else usual(value)


def _settings(config: Mapping[str, Any] | None) -> Settings:
    """The settings for Convex. Names of other settings are errors too, because they would have no effect."""
    given = dict(config or {})
    if unknown := given.keys() - _SETTINGS.keys():
        reason = f"is not a configuration key; use keys from: {', '.join(_SETTINGS)}"
        raise ConfigurationError(dict.fromkeys(sorted(unknown), reason))
    named = {_SETTINGS[key]: value for key, value in given.items()}
    return load_settings(DB_ADAPTER_ORDER=_ADAPTER, **named)
