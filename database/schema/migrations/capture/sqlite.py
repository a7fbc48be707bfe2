"""The change log on SQLite: creation and comparison.

If a program runs ``insert or replace`` without ``pragma recursive_triggers``, the log lacks the deletion of other rows
that are replaced because of a unique column, for which SQLite fires no trigger.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from database.backends.sqlite.changes import LOG
from database.backends.sqlite.changes import entry_of
from database.schema.migrations.capture import sqlite_moments
from database.schema.migrations.capture.tables import counted_columns
from database.schema.migrations.capture.tables import is_timed
from database.schema.migrations.capture.tables import is_versioned
from database.schema.migrations.capture.tables import key_columns
from database.schema.migrations.capture.tables import shape

_DIALECT: Final = sqlite.dialect()

# Numbers are not reused, because the last entry always stays; to have SQLite see to it costs a tenth of an entry. The
# mark distinguishes an entry from one with the same number in another file or in a copy of this one. The first entry
# exists for cursors to refer to.
_TABLE: Final = (
    f"CREATE TABLE {LOG} ("
    "seq integer primary key, table_name text not null, record_id text not null, kind text not null,"
    " at text not null default current_timestamp, mark blob not null default (randomblob(8)))"
)
_ENTRY: Final = f"insert into {LOG} (table_name, record_id, kind) values"
_TRIGGERS: Final = {
    "isthmus_insert": ("insert", f"{_ENTRY} ({{table}}, {{new}}, 'insert')"),
    "isthmus_update": (
        "update",
        f"{_ENTRY} ({{table}}, {{new}}, case when {{same}} then 'update' else 'insert' end)",
    ),
    "isthmus_rename": ("update of {key}", f"{_ENTRY} ({{table}}, {{old}}, 'delete')"),
    "isthmus_delete": ("delete", f"{_ENTRY} ({{table}}, {{old}}, 'delete')"),
}
# Without the other columns: a trigger that names one is in the way of everybody who drops it.
_UNCOUNTED: Final = "new.version is old.version"
_NOW: Final = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
_BELIEVED: Final = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+1 day')"
_FIND: Final = sa.text("select name, sql from sqlite_schema where type in ('table', 'trigger')")
_FIND_FOLLOWED: Final = sa.text(
    "select tbl_name from sqlite_schema where type = 'trigger' and name = 'isthmus_insert_' || tbl_name"
)
_FIND_COLUMNS: Final = sa.text(
    "select found.name, columns.name from sqlite_schema as found, pragma_table_info(found.name) as columns"
    " where found.type = 'table'"
)
_ENTRY_MARK: Final = sa.text(f"select mark from {LOG} where seq = :seq")  # noqa: S608
_END: Final = 2**63 - 1
_IS_EMPTY: Final = sa.text(f"select not exists (select 1 from {LOG})")  # noqa: S608  # a constant
_PURGE: Final = sa.text(f"""
delete from {LOG} where seq < (
    select max(seq) from {LOG} where seq < coalesce(
        (select min(seq) from {LOG} where at >= strftime('%Y-%m-%d %H:%M:%f', 'now', :age)), 9223372036854775807
    )
) and seq < :unread""")  # noqa: S608


def apply(connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Create the log and the triggers, unless all of them exist.

    Otherwise changes may be missing from the log, so it is made anew, which invalidates all cursors.
    """
    if not differences(connection, tables):
        return
    _run(connection, f"drop table if exists {LOG}")
    _run(connection, _TABLE)
    for name, text in _wanted(connection, tables).items():
        _run(connection, f"drop trigger if exists {_quoted(name)}")
        _run(connection, text)
    for table in _with_columns(connection, tables, sqlite_moments.moments):
        if (statement := sqlite_moments.rewriting(table)) is not None:
            _run(connection, statement)
    _run(connection, f"{_ENTRY} ('', '', 'begin')")


def differences(connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
    """What is missing or outdated in the database's log, one line each; ignores tables that do not exist."""
    found = {row.name: row.sql for row in connection.execute(_FIND)}
    if LOG not in found:
        return [f"{LOG}: is missing"]
    wanted = _wanted(connection, [table for table in tables if table.name in found])
    if found[LOG] != _TABLE:
        return [f"{LOG}: is from another version"]
    lines = [f"{LOG}: trigger {name} is missing" for name, text in wanted.items() if found.get(name) != text]
    return [f"{LOG}: is empty", *lines] if connection.scalar(_IS_EMPTY) else lines


def followed(connection: sa.Connection) -> set[str]:
    """The names of the tables that have triggers."""
    return set(connection.scalars(_FIND_FOLLOWED))


def remove(connection: sa.Connection, table: sa.Table) -> None:
    """Drop the table's triggers."""
    moments = [f"isthmus_moment_{event}" for event in sqlite_moments.EVENTS]
    for prefix in (*_TRIGGERS, *moments, "isthmus_touch"):
        _run(connection, f"drop trigger if exists {_quoted(f'{prefix}_{table.name}')}")


def exists(connection: sa.Connection) -> bool:
    """Whether the log exists."""
    return LOG in connection.scalars(_FIND)


def purge(connection: sa.Connection, older_than: timedelta, cursors: Sequence[str]) -> int:
    """Delete entries that are older and before all of these cursors; returns their number.

    The last entry remains, for cursors to refer to.
    """
    known = [entry for entry in map(entry_of, cursors) if entry is not None and _has(connection, *entry)]
    unread = min((seq for seq, _ in known), default=_END)
    return connection.execute(_PURGE, {"age": f"-{older_than.total_seconds()} seconds", "unread": unread}).rowcount


def _has(connection: sa.Connection, seq: int, mark: bytes) -> bool:
    return bool(connection.scalar(_ENTRY_MARK, {"seq": seq}) == mark)


def _wanted(connection: sa.Connection, tables: Sequence[sa.Table]) -> Mapping[str, str]:
    """The SQL of each trigger by name, exactly as SQLite stores it."""
    captures = {
        f"{prefix}_{table.name}": _trigger(f"{prefix}_{table.name}", table, *parts)
        for table in tables
        for prefix, parts in _TRIGGERS.items()
    }
    counted = _with_columns(connection, tables, counted_columns)
    timed = _with_columns(connection, tables, sqlite_moments.moments)
    captures |= dict(trigger for table in timed for trigger in sqlite_moments.triggers(table))
    return captures | {f"isthmus_touch_{table.name}": _touch(table) for table in counted if is_versioned(table)}


def _with_columns(
    connection: sa.Connection, tables: Sequence[sa.Table], columns: Callable[[sa.Table], Sequence[str]]
) -> list[sa.Table]:
    """The tables that have these of their declared columns; without one, all changes would fail."""
    there = {(table, column) for table, column in connection.execute(_FIND_COLUMNS)}
    return [table for table in tables if all((table.name, name) in there for name in columns(table))]


def _trigger(name: str, table: sa.Table, event: str, action: str) -> str:
    names = [_DIALECT.identifier_preparer.quote(name) for name in key_columns(table)]
    text = sa.literal(table.name, sa.String()).compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})
    parts = {
        "table": text,
        "key": ", ".join(names),
        "new": _address("new", names),
        "old": _address("old", names),
        "same": " and ".join(f"new.{name} is old.{name}" for name in names),
    }
    condition = f" when {' or '.join(f'new.{name} is not old.{name}' for name in names)}" if "{key}" in event else ""
    where = f"after {event.format(**parts)} on {_quoted(table.name)}{condition}"
    return f"CREATE TRIGGER {_quoted(name)} {where} begin /* {shape(table)} */ {action.format(**parts)}; end"


def _address(row: str, names: Sequence[str]) -> str:
    """The address of a row, as :mod:`database.core.tables.keys` defines it."""
    if len(names) == 1:
        return f"{row}.{names[0]}"
    return " || ',' || ".join(
        f"replace(replace(replace({row}.{name}, '~', '~0'), '/', '~1'), ',', '~2')" for name in names
    )


def _touch(table: sa.Table) -> str:
    """Counts the version of a row whose writer does not, and sets the time.

    It can only do so after the change, by another one, which counts the version and so is not followed by a third.
    """
    name, quoted = _quoted(f"isthmus_touch_{table.name}"), _quoted(table.name)
    # A time that is more than a day ahead of the clock is not believed.
    later = f"iif(old.updated_at <= {_BELIEVED}, max({_NOW}, old.updated_at), {_NOW})"
    timed = f", updated_at = iif(new.updated_at is old.updated_at, {later}, new.updated_at)"
    values = f"version = coalesce(old.version, 0) + 1{timed if is_timed(table) else ''}"
    names = [_DIALECT.identifier_preparer.quote(name) for name in key_columns(table)]
    same = " and ".join(f"{name} is new.{name}" for name in names)
    action = f"update {quoted} set {values} where {same}"  # noqa: S608  # quoted names of declared columns
    return f"CREATE TRIGGER {name} after update on {quoted} when {_UNCOUNTED} begin /* {shape(table)} */ {action}; end"


def _quoted(name: str) -> str:
    return _DIALECT.identifier_preparer.quote_identifier(name)


def _run(connection: sa.Connection, text: str) -> None:
    connection.exec_driver_sql(text)
