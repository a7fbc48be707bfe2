"""The change log on PostgreSQL: creation and comparison."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from psycopg import sql

from database.schema.migrations import row_security
from database.schema.migrations.capture.tables import counted_columns
from database.schema.migrations.capture.tables import is_timed
from database.schema.migrations.capture.tables import is_versioned
from database.schema.migrations.capture.tables import key_columns
from database.schema.migrations.capture.tables import shape

_TRIGGERS: Final = {
    "isthmus_capture": "after insert or delete on {0} for each row execute function isthmus_changes.capture({1}{3})",
    # *<> compares bytes, because not every type has an equality operator.
    "isthmus_capture_update": (
        "after update on {0} for each row when (old.* *<> new.*) execute function isthmus_changes.capture({1}{3})"
    ),
    "isthmus_capture_truncate": (
        "before truncate on {0} for each statement execute function isthmus_changes.capture_truncate({1}{3})"
    ),
}
# The last of the triggers before the change, which fire in the order of their names: it sees what the others have made.
_TOUCH: Final = {
    # Without a condition, which would keep everybody from altering the columns in it.
    "zz_isthmus_touch": "before update on {0} for each row execute function isthmus_changes.touch({2})",
}
# Unless all triggers existed, changes may be missing from the log; it is then emptied, which invalidates all cursors.
_RENEW: Final = sql.SQL(
    "delete from isthmus_changes.log"
    " where obj_description('isthmus_changes'::regnamespace, 'pg_namespace') is distinct from {mark}"
    " or {number} > (select count(*) from pg_trigger"
    " where tgname = any({names}) and tgenabled <> 'D' and tgrelid = any({tables}::regclass[]))"
)
_MARK: Final = sql.SQL("comment on schema isthmus_changes is {}")
_FIND_MARK: Final = sa.text("select obj_description(to_regnamespace('isthmus_changes'), 'pg_namespace')")
_PURGE: Final = sa.text("select isthmus_changes.purge(:keep, cast(:cursors as text[]))")
_FIND_FUNCTION: Final = sa.text("select to_regprocedure('public.isthmus_changes(text, integer)') is not null")
_FIND_TRIGGERS: Final = sa.text(
    "select relname, array_remove(array_agg(tgname::text), null) from pg_class"
    " left join pg_trigger on tgrelid = pg_class.oid and tgenabled <> 'D'"
    " where relname = any(:names) and relnamespace = current_schema()::regnamespace group by relname"
)
_FIND_FOLLOWED: Final = sa.text(
    "select relname from pg_trigger join pg_class on pg_class.oid = tgrelid"
    " where tgname = any(:names) and relnamespace = current_schema()::regnamespace"
)


def statements(tables: Sequence[sa.Table], *, roles: bool) -> list[str]:
    """Repeatable SQL that creates the log and the tables' triggers.

    :param roles: whether the server has Supabase's roles, one of which reads the feed over HTTP.
    """
    mark = _MARK.format(_mark(tables)).as_string(None)
    made = [*_log(), _script("purge.sql"), _renewal(tables), *_triggers(tables), mark]
    return [*made, _script("supabase.sql")] if roles else made


def apply(connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Create the log and recreate the triggers."""
    for text in statements(tables, roles=row_security.has_roles(connection)):
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})


def differences(connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
    """What is missing or outdated in the database's log, one line each."""
    mark = connection.scalar(_FIND_MARK)
    if mark is None:
        return ["isthmus_changes: is missing"]
    found = connection.execute(_FIND_TRIGGERS, {"names": [table.name for table in tables]}).all()
    there = {name for name, _ in found}
    # The log was created when all tables existed, or only those that exist now.
    good = (_mark(tables), _mark([table for table in tables if table.name in there]))
    lines = [] if mark in good else ["isthmus_changes: is from another version"]
    if row_security.has_roles(connection) and not connection.scalar(_FIND_FUNCTION):
        lines.append("isthmus_changes: the function is missing")
    wanted = {table.name: _definitions(table).keys() for table in tables}
    missing = sorted((table, trigger) for table, made in found for trigger in wanted[table] - set(made))
    return [*lines, *(f"{table}: trigger {trigger} is missing" for table, trigger in missing)]


def followed(connection: sa.Connection) -> set[str]:
    """The names of the tables that have triggers."""
    return set(connection.scalars(_FIND_FOLLOWED, {"names": list(_TRIGGERS)}))


def remove(connection: sa.Connection, table: sa.Table) -> None:
    """Drop the table's triggers."""
    for name in _TRIGGERS | _TOUCH:
        text = sql.SQL("drop trigger if exists {} on {}").format(sql.Identifier(name), sql.Identifier(table.name))
        connection.exec_driver_sql(text.as_string(None), execution_options={"no_parameters": True})


def exists(connection: sa.Connection) -> bool:
    """Whether the log exists."""
    return connection.scalar(_FIND_MARK) is not None


def purge(connection: sa.Connection, older_than: timedelta, cursors: Sequence[str]) -> int:
    """Delete entries that are older and before all of these cursors and the present end; returns their number."""
    number: int = connection.scalar(_PURGE, {"keep": older_than, "cursors": list(cursors)})
    return number


def _log() -> list[str]:
    return [_script("log.sql"), _script("read.sql")]


def _renewal(tables: Sequence[sa.Table]) -> str:
    names = [sql.Identifier(table.name).as_string(None) for table in tables]
    number = len(names) * len(_TRIGGERS)
    return _RENEW.format(mark=_mark(tables), number=number, names=list(_TRIGGERS), tables=names).as_string(None)


def _definitions(table: sa.Table) -> dict[str, str]:
    return _TRIGGERS | _TOUCH if is_versioned(table) else _TRIGGERS


def _triggers(tables: Sequence[sa.Table]) -> Iterator[str]:
    for table in tables:
        timed = sql.Literal("timed" if is_timed(table) else "untimed")
        key = key_columns(table)
        # The functions know a key named id by themselves.
        names = sql.SQL("").join([] if key == ["id"] else [sql.SQL(", {}").format(sql.Literal(name)) for name in key])
        for name, definition in _definitions(table).items():
            what = sql.SQL(definition).format(sql.Identifier(table.name), sql.Literal(table.name), timed, names)
            made = sql.SQL("create or replace trigger {} {}").format(sql.Identifier(name), what).as_string(None)
            yield _if_there(table, made) if name in _TOUCH else made


def _if_there(table: sa.Table, statement: str) -> str:
    """The statement, unless the table lacks a column that is set: otherwise all of its updates would fail."""
    relation = sql.Literal(sql.Identifier(table.name).as_string(None)).as_string(None)
    names = counted_columns(table)
    return (
        f"do $isthmus$ begin if {len(names)} = (select count(*) from pg_catalog.pg_attribute"  # noqa: S608  # quoted
        f" where attrelid = {relation}::regclass and attname = any(array{names}) and not attisdropped)"
        f" then {statement}; end if; end $isthmus$"
    )


def _mark(tables: Sequence[sa.Table]) -> str:
    """A mark that identifies the version of the log and of the columns that it captures."""
    parts = [*_log(), *_triggers(tables), *map(shape, tables)]
    return f"log {sha256(repr(parts).encode()).hexdigest()}"


@cache
def _script(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
