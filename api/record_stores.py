"""The record stores of an app: how they are set up as they are declared, and whom their routes admit."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from functools import wraps
from typing import Any

from flask import Blueprint
from flask import Flask

from api.http.parameters import refuse_undecodable
from api.records.table_access import View
from api.records.table_access import refuse_hidden
from api.records.table_access import require_access
from config.settings import ConfigurationError
from config.settings import Settings
from database import Isthmus
from database import Schema
from database.core.tables.access_rules import Action
from database.core.tables.keys import text_in_url
from storage import Store
from storage import Stores
from stores import RecordStoreDeclaration
from stores.current import RecordStore
from stores.current import RecordStores
from stores.current import current_record_store
from stores.declaration import declared_in

Make = Callable[[RecordStoreDeclaration], Any]
"""Makes what keeps the records. :raises ConfigurationError: if the application does not declare what it needs."""


def set_up(
    app: Flask,
    settings: Settings,
    schema: Schema,
    blueprint: Blueprint,
    make: Make,
    *,
    hides: Collection[str] = (),
) -> bool:
    """Add a record store to ``app`` with its routes, if the application declares it; returns whether it does.

    :param blueprint: its routes, named as the record store.
    :param hides: the tables whose routes those of the record store would hide.
    :raises ConfigurationError: if it is not declared as it must be, and for a declared table among ``hides``.
    """
    name = blueprint.name
    declaration = declared_in(settings.application_package).get(name)
    if declaration is None:
        return False
    for table in hides:
        refuse_hidden(schema, table, name, f"take {name} out of RECORD_STORES")
    isthmus = Isthmus.of(app)
    if RecordStores not in isthmus:
        isthmus[RecordStores] = RecordStores()
    isthmus[RecordStores][name] = RecordStore(make(declaration), declaration.grants(name))
    app.register_blueprint(blueprint)
    return True


def on_records(name: str, *actions: Action, texts: Collection[str] = ()) -> Callable[[View], View]:
    """Give the view the records of a record store, if the access rules allow the actions.

    :param texts: the parts of the URL that are ids, as ``text_address`` writes them.
    :raises AuthError: if the caller is not signed in, or lacks the role or the permission.
    """

    def resolving(view: View) -> View:
        @wraps(view)
        def resolved(**values: Any) -> Any:
            found = current_record_store(name)
            refuse_undecodable()
            for action in actions:
                require_access(found.access[action])
            return view(found.records, **values | {one: text_in_url(values[one]) for one in texts if one in values})

        return resolved

    return resolving


def declared_store(stores: Stores, name: str, declared: str | None) -> Store | None:
    """The store that a record store uses beside its tables.

    :raises ConfigurationError: if the application does not declare it.
    """
    if declared is None:
        return None
    if declared not in stores:
        reason = f"uses the store {declared!r}, which STORES does not declare"
        raise ConfigurationError({f"record store {name}": reason})
    return stores[declared]
