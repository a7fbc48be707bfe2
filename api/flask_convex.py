"""Convex in any Flask app: its adapter, a unit of work for every request, the callers' tokens, errors as problems."""

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
"""The setting that each key of the configuration stands for."""


class FlaskConvexIntegration:
    """Joins Convex and identity with Flask apps, of which each has databases and keys of its own.

    It is about the app of the current app context and, outside of one, about the only app that it was set up for.

    :param app: calls :meth:`init_app`.
    :param config: for every app that is set up without one.
    """

    def __init__(self, app: Flask | None = None, config: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._installations: list[_Installation] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, config: Mapping[str, Any] | None = None) -> None:
        """Set up ``app``: requests are units of work on Convex, in the name of their callers, with problems as errors.

        :func:`auth.middleware.init_app` says what views find in ``flask.g``, and
        :func:`database.flask_scope.init_app` reads the limit of a request, ``app.config["REQUEST_TIMEOUT"]``.

        :param config: ``convex_url``; ``convex_key``, the deploy key; ``timeout`` in seconds, ``retry_count``,
            ``circuit_breaker_threshold``, ``circuit_breaker_timeout`` in seconds; ``jwt_secret``, ``jwt_algorithm``,
            ``jwt_private_key_file``, ``jwt_expiry`` in seconds, ``jwt_issuer``, ``jwt_audience``; ``environment``,
            ``instance_path``. What is left out comes from the environment.
        :raises ConfigurationError: for an unknown key, and with every setting that is missing or wrong.
        :raises RuntimeError: if the app has this integration, or another data layer or identity, already.
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
        """What makes and verifies access tokens."""
        return self._here().bridge

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction that plain calls inside the block join: committed at its end, undone by an exception.

        In a request it is a savepoint of the request's unit of work.
        """
        return self.get_convex_adapter().transaction()

    def execute_query(self, query: str, params: SqlParams = None) -> Any:
        """Call a function such as ``api.molecules.list`` with named arguments, or run SQL text.

        :returns: what the function returns; the rows, or the number of rows affected.
        """
        return self.get_convex_adapter().execute_query(query, params)

    def table(self, name: str) -> TableQuery:
        """A query builder in the manner of Supabase's client."""
        return self.get_convex_adapter().table(name)

    def _execute_query_in_transaction(self, transaction: Transaction, query: str, params: SqlParams = None) -> Any:
        """Do as :meth:`execute_query` in a transaction that the adapter's ``begin_transaction()`` returned."""
        return self.get_convex_adapter()._execute_query_in_transaction(transaction, query, params)

    def _here(self) -> _Installation:
        if has_app_context():
            if _Installation not in current_isthmus():
                raise RuntimeError("this app has no Convex integration; call init_app for it")
            return current_isthmus()[_Installation]
        if len(self._installations) != 1:
            raise RuntimeError(f"there are {len(self._installations)} apps; outside of an app context it takes one")
        return self._installations[0]


def init_flask_convex(app: Flask, config: Mapping[str, Any] | None = None) -> FlaskConvexIntegration:
    """The integration of ``app``: the one it has or, made from ``config``, a new one.

    :param config: as of :meth:`FlaskConvexIntegration.init_app`.
    :raises ConfigurationError: for an unknown key, and with every setting that is missing or wrong.
    :raises RuntimeError: for a configuration where the app has an integration, which is not configured twice.
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
    """Refuse before anything of the app is changed."""
    isthmus = Isthmus.found(app)
    if _Installation in isthmus:
        raise RuntimeError("this app has its Convex integration already; set it up once")
    if ConnectionManager in isthmus or AuthBridge in isthmus:
        raise RuntimeError("this app has its data layer or identity already; the integration brings both")


def _write_deferred(app: Flask) -> None:
    """Have Flask's own JSON write what a function has returned by then. A provider of the app's own is left alone."""
    provider = app.json
    if not isinstance(provider, DefaultJSONProvider):
        return
    usual = provider.default
    provider.default = lambda value: value.value if isinstance(value, Deferred) else usual(value)


def _settings(config: Mapping[str, Any] | None) -> Settings:
    """The settings for Convex alone; keys are told apart from settings, which would be accepted and have no effect."""
    given = dict(config or {})
    if unknown := given.keys() - _SETTINGS.keys():
        reason = f"is not known; known are {', '.join(_SETTINGS)}"
        raise ConfigurationError(dict.fromkeys(sorted(unknown), reason))
    named = {_SETTINGS[key]: value for key, value in given.items()}
    return load_settings(DB_ADAPTER_ORDER=_ADAPTER, **named)
