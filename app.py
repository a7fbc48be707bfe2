"""The application: ``create_app()`` for servers and tests, ``python app.py`` to serve it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib import import_module

from argon2 import PasswordHasher
from flask import Flask

from api import server
from api.agents import routes as agent_routes
from api.auth import accounts
from api.auth import discovery
from api.auth import token_exchange
from api.evaluations import routes as evaluation_routes
from api.experiments import routes as experiment_routes
from api.http import problem
from api.http.json import OrjsonProvider
from api.operations import auto_migration
from api.operations import health
from api.operations import purging
from api.records import routes
from api.storage import routes as storage_routes
from auth import AuthBridge
from auth.sign_in import limits
from cli.auth import auth_commands
from cli.db import db_commands
from cli.stores.commands import storage_commands
from cli.sync import sync_commands
from config.advice import advice
from config.advice import given_names
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import collect_problems
from config.settings import load_settings
from database import ConnectionManager
from database import DatabaseAdapter
from database import DataError
from database import Isthmus
from database import flask_scope
from database.core.clock import utc_now
from database.declared import schema_for
from database.sync.status import running
from storage import Stores
from storage import stack

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    adapters: Mapping[str, DatabaseAdapter] | None = None,
    password_hasher: PasswordHasher | None = None,
) -> Flask:
    """Create the application with its databases, authentication and routes.

    It writes nothing to disk or to a database before :func:`main` serves it or it gets its first request.

    :param settings: read from the environment by default.
    :param adapters: adapters by name, the primary first; they replace those of the settings and are migrated, too.
    :param password_hasher: argon2id with cheap parameters, for tests. Not allowed in production.
    :raises ConfigurationError: for invalid settings; names each of them.
    """
    if settings is None:
        settings = load_settings()
        _advise(settings)
    if password_hasher is not None and settings.production:
        raise ConfigurationError({"ENVIRONMENT": "is production, where password_hasher must be None"})
    bridge: AuthBridge
    manager: ConnectionManager
    bridge, manager = collect_problems(
        lambda: AuthBridge(settings=settings, make_keys=False),
        lambda: ConnectionManager(settings, adapters, schema_for(settings)),
    )
    ConnectionManager.offer_instance(manager)
    app = Flask(__name__, static_folder=None, instance_path=str(settings.instance_path.absolute()))
    app.json = OrjsonProvider(app)
    app.url_map.merge_slashes = False
    app.config["REQUEST_TIMEOUT"] = settings.request_timeout
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # First, because every other hook must run inside its unit of work.
    flask_scope.init_app(app, manager)
    revocation = accounts.init_app(app, manager, bridge, password_hasher)
    if settings.db_auto_migrate is not False:
        auto_migration.init_app(app, manager)
    limits.init_app(app, settings)
    token_exchange.init_app(app, manager, settings)
    stores = stack.init_app(app, manager, settings)
    storage_routes.init_app(app, stores, schema_for(settings))
    evaluation_routes.init_app(app, manager, settings, schema_for(settings), stores)
    agent_routes.init_app(app, manager, settings, schema_for(settings))
    experiment_routes.init_app(app, manager, settings, schema_for(settings), stores)
    app.register_blueprint(routes.blueprint)
    discovery.init_app(app, bridge)
    purger = purging.init_app(app, manager, stores)
    others = {
        "revocation": revocation.snapshot,
        "keys": bridge.ring.snapshot,
        "sync": running.statuses,
        "stores": stores.snapshot,
    }
    health.init_app(app, manager, others | {"syncs_gone": purger.snapshot}, stores=stores)
    problem.init_app(app)
    app.cli.add_command(auth_commands)
    app.cli.add_command(db_commands)
    app.cli.add_command(storage_commands)
    app.cli.add_command(sync_commands)
    # The application's own set-up comes last, because it builds on everything above.
    import_module(f"{settings.application_package}.application").init_app(app)
    return app


def serve_app() -> server.serving.AsgiApplication:
    """Create the application for one process of the server that :func:`main` starts."""
    settings = load_settings()
    server.serving.enter_worker()
    # The main process has logged the warnings about the settings.
    app = create_app(settings)
    auto_migration.start(app)
    return server.serving.AsgiApplication(app, settings)


def _advise(settings: Settings) -> None:
    for line in advice(settings, given_names()):
        logger.warning("%s", line)


def main() -> int:
    """Serve the application with the settings of the environment.

    :returns: the exit status: 0, 1 if the database cannot be used, 2 for invalid settings.
    """
    try:
        settings = load_settings()
        _advise(settings)
        # Created here first: a problem is reported once, before any server process starts.
        app = create_app(settings)
        Isthmus.of(app)[AuthBridge].ring.keys(utc_now())
        auto_migration.start(app)
        Isthmus.of(app)[Stores].close()
        Isthmus.of(app).manager.disconnect()
        server.serving.serve("app:serve_app", settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except DataError as error:
        sys.stderr.write(f"Cannot use the database: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
