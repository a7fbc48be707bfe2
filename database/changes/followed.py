"""Adopted tables get the triggers of the change log only if somebody asks for them: whoever follows one needs them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import Protocol

from database.core.context import as_application
from database.core.errors import SchemaMismatch
from database.core.operations import Operation
from database.core.operations import Sql
from database.core.result import Result
from database.core.tables.schema import Schema

_FOLLOWED: Final[Mapping[str, Sql]] = {
    "sqlite": Sql("select tbl_name as name from sqlite_schema where type = 'trigger' and name like 'isthmus_insert_%'"),
    "postgres": Sql(
        "select relname::text as name from pg_trigger join pg_class on pg_class.oid = tgrelid"
        " join pg_namespace on pg_namespace.oid = relnamespace"
        " where tgname = 'isthmus_capture' and tgenabled <> 'D' and nspname = any(current_schemas(false))"
    ),
}


class _Database(Protocol):
    """The part of an adapter that is needed here."""

    schema: Schema
    name: str

    @property
    def capabilities(self) -> Any: ...

    @property
    def sql_dialect(self) -> Any: ...

    def run_alone(self, operation: Operation) -> Result: ...


def require_followed(database: _Database, tables: Iterable[str]) -> None:
    """Refuse to follow an adopted table whose changes nobody logs.

    :raises SchemaMismatch: names the tables and the command.
    :raises DataError: if the database cannot be asked.
    """
    schema = database.schema
    adopted = {name for name in tables if name in schema and schema.table(name).source.info.get("adopted")}
    if not adopted or database.capabilities.sql != "native" or database.sql_dialect not in _FOLLOWED:
        return
    with as_application():
        adopted -= {row["name"] for row in database.run_alone(_FOLLOWED[database.sql_dialect]).rows}
    if adopted:
        names = " ".join(sorted(adopted))
        raise SchemaMismatch(
            f"the change log of {database.name} lacks the changes of adopted tables; run `flask db install changes"
            f" {names}`"
        )
