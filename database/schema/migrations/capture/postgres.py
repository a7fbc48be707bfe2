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

# By the triggers' names: the event, and the rows that a trigger for each statement sees.
_CAPTURE: Final = {
    "isthmus_capture": ("insert", "new table as fresh"),
    "isthmus_capture_update": ("update", "old table as stale new table as fresh"),
    "isthmus_capture_delete": ("delete", "old table as stale"),
}
_TRUNCATE: Final = "isthmus_capture_truncate"
_TRIGGERS: Final = (*_CAPTURE, _TRUNCATE)
# The last of the triggers before the change, which fire in the order of their names: it sees what the others have made.
_TOUCH: Final = "zz_isthmus_touch"
# Whether a trigger misses changes, because its table was made a partition, for example, after it.
_IS_BLIND: Final = "(tgnewtable is not null or tgoldtable is not null) and isthmus_changes.goes_by_row(tgrelid)"
# Unless all triggers existed, changes may be missing from the log; it is then emptied, which invalidates all cursors.
_RENEW: Final = sql.SQL(
    "delete from isthmus_changes.log"  # noqa: S608  # constants
    " where obj_description('isthmus_changes'::regnamespace, 'pg_namespace') is distinct from {mark}"
    " or {number} > (select count(*) from pg_trigger"
    " where tgname = any({names}) and tgenabled <> 'D' and tgrelid = any({tables}::regclass[])"
    f" and not ({_IS_BLIND}))"
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
_FIND_BLIND: Final = sa.text(
    "select distinct relname from pg_class join pg_trigger on tgrelid = pg_class.oid"  # noqa: S608  # constants
    f" where relname = any(:names) and relnamespace = current_schema()::regnamespace and {_IS_BLIND} order by 1"
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
    lines = _blind(connection, tables) if mark in good else ["isthmus_changes: is from another version"]
    if row_security.has_roles(connection) and not connection.scalar(_FIND_FUNCTION):
        lines.append("isthmus_changes: the function is missing")
    wanted = {table.name: {*_TRIGGERS, *([_TOUCH] if is_versioned(table) else [])} for table in tables}
    missing = sorted((table, trigger) for table, made in found for trigger in wanted[table] - set(made))
    return [*lines, *(f"{table}: trigger {trigger} is missing" for table, trigger in missing)]


def followed(connection: sa.Connection) -> set[str]:
    """The names of the tables that have triggers."""
    return set(connection.scalars(_FIND_FOLLOWED, {"names": list(_TRIGGERS)}))


def remove(connection: sa.Connection, table: sa.Table) -> None:
    """Drop the table's triggers."""
    for name in (*_TRIGGERS, _TOUCH):
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
    return [_script("log.sql"), _script("statements.sql"), _script("read.sql")]


def _blind(connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
    found = connection.scalars(_FIND_BLIND, {"names": [table.name for table in tables]})
    return [f"{name}: its triggers do not see all changes, because the table was changed after them" for name in found]


def _renewal(tables: Sequence[sa.Table]) -> str:
    names = [sql.Identifier(table.name).as_string(None) for table in tables]
    number = len(names) * len(_TRIGGERS)
    return _RENEW.format(mark=_mark(tables), number=number, names=list(_TRIGGERS), tables=names).as_string(None)


def _triggers(tables: Sequence[sa.Table]) -> Iterator[str]:
    for table in tables:
        yield _capturing(table)
        yield _trigger(table, _TRUNCATE, "before truncate", "for each statement", "capture_truncate", *_keyed(table))
        if is_versioned(table):
            timed = "timed" if is_timed(table) else "untimed"
            yield _if_there(table, _trigger(table, _TOUCH, "before update", "for each row", "touch", timed))


def _capturing(table: sa.Table) -> str:
    """The triggers for each row or, where they see the same, for each statement, which cost much less."""
    function = "capture_statement" if key_columns(table) == ["id"] else "capture_keyed_statement"
    rows, statements = [], []
    for name, (event, seen) in _CAPTURE.items():
        # *<> compares bytes, because not every type has an equality operator.
        each = "for each row when (old.* *<> new.*)" if event == "update" else "for each row"
        rows.append(_trigger(table, name, f"after {event}", each, "capture", *_keyed(table)))
        each = f"referencing {seen} for each statement"
        statements.append(_trigger(table, name, f"after {event}", each, function, *_keyed(table)))
    by_row = f"isthmus_changes.goes_by_row({_relation(table)}::regclass)"
    return f"do $isthmus$ begin if {by_row} then {_block(rows)} else {_block(statements)} end if; end $isthmus$"


def _block(statements: Sequence[str]) -> str:
    return "".join(f"{one}; " for one in statements)


def _trigger(table: sa.Table, name: str, event: str, each: str, function: str, *arguments: str) -> str:
    return (
        sql.SQL("create or replace trigger {} {} on {} {} execute function {}({})")
        .format(
            sql.Identifier(name),
            sql.SQL(event),
            sql.Identifier(table.name),
            sql.SQL(each),
            sql.Identifier("isthmus_changes", function),
            sql.SQL(", ").join(map(sql.Literal, arguments)),
        )
        .as_string(None)
    )


def _keyed(table: sa.Table) -> list[str]:
    """The arguments of the functions, which know a key named id by themselves."""
    key = key_columns(table)
    return [table.name] if key == ["id"] else [table.name, *key]


def _relation(table: sa.Table) -> str:
    return sql.Literal(sql.Identifier(table.name).as_string(None)).as_string(None)


def _if_there(table: sa.Table, statement: str) -> str:
    """The statement, unless the table lacks a column that is set: otherwise all of its updates would fail."""
    names = counted_columns(table)
    return (
        f"do $isthmus$ begin if {len(names)} = (select count(*) from pg_catalog.pg_attribute"  # noqa: S608  # quoted
        f" where attrelid = {_relation(table)}::regclass and attname = any(array{names}) and not attisdropped)"
        f" then {statement}; end if; end $isthmus$"
    )


def _mark(tables: Sequence[sa.Table]) -> str:
    """A mark that identifies the version of the log and of the columns that it captures."""
    parts = [*_log(), *_triggers(tables), *map(shape, tables)]
    return f"log {sha256(repr(parts).encode()).hexdigest()}"


@cache
def _script(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
