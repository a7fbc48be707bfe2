"""Finds the tables of an SQLite file of another program.

In SQLite the type of a column does not say what it holds: NUMERIC(10, 2) holds doubles, and DATETIME texts or numbers.
So the stored values decide, all of which are looked at. The file is opened for reading only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import Final

import apsw

from database.schema.adoption.found import FoundColumn
from database.schema.adoption.found import FoundDatabase
from database.schema.adoption.found import FoundReference
from database.schema.adoption.found import FoundTable

_TABLES: Final = (
    "select name, type, wr from pragma_table_list where schema = 'main' and type in ('table', 'view', 'virtual')"
    " and name not like 'sqlite\\_%' escape '\\' order by name"
)
_TRIGGERS: Final = "select name from sqlite_schema where type = 'trigger' and tbl_name = ? order by name"
_COLUMNS: Final = 'select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?)'
_REFERENCES: Final = 'select id, "table", "from", "to", on_delete from pragma_foreign_key_list(?) order by id, seq'
_KEY: Final = "select name from pragma_table_info(?) where pk > 0 order by pk"
_INDEXES: Final = """select name from pragma_index_list(?) where "unique" and not partial and origin <> 'pk'"""
_DIGITS: Final = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_GENERATED: Final = {2, 3}
_MOMENTS: Final = {
    "????-??-??T??:??:??.??????Z": "columns.timestamp()",
    "????-??-??T??:??:??.?????[0-9]": "sa.DateTime",
    "????-??-?? ??:??:??.?????[0-9]": 'sa.DateTime().with_variant(sa.String(26), "sqlite")',
    "????-??-?? ??:??:?[0-9]": 'sa.DateTime().with_variant(sa.String(19), "sqlite")',
}
"""The forms of timestamps, in each of which texts are sorted as times."""
_TIME: Final = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]"
_MOST_DIGITS: Final = 15
"""Digits of a decimal that a double holds: it is written with the same ones again."""


def find(path: Path) -> FoundDatabase:
    """Read the file; nothing is changed."""
    with _opened(path) as db:
        return FoundDatabase(tuple(_table(db, name, kind) for name, kind, _ in _rows(db, _TABLES)))


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        with db:
            yield db
    finally:
        db.close()


def _table(db: apsw.Connection, name: str, kind: str) -> FoundTable:
    quoted = _quoted(name)
    found = [row for row in _rows(db, _COLUMNS, name) if row[5] != 1]
    key = tuple(row[0] for row in sorted(found, key=lambda row: row[4]) if row[4])
    numbered = len(key) == 1 and next(row[1] for row in found if row[4]).upper() == "INTEGER"
    return FoundTable(
        name,
        "virtual table" if kind == "virtual" else kind,
        tuple(_Column(db, quoted, row, kind, numbered=numbered and bool(row[4])).found() for row in found),
        key,
        tuple(_references(db, name)),
        dict(_unique(db, name)),
        triggers=tuple(trigger for (trigger,) in _rows(db, _TRIGGERS, name)),
    )


class _Column:
    """Decides by its values how a column can be declared."""

    def __init__(self, db: apsw.Connection, table: str, row: Any, kind: str, *, numbered: bool) -> None:
        self._db = db
        self._table = table
        self._name, self._type, required, self._default, key, self._hidden = row
        self._kind = kind
        self._column = _quoted(self._name)
        self._nullable = not required and not key
        self._numbered = numbered

    def found(self) -> FoundColumn:
        forms, problem = self._forms()
        collation = self._collation()
        if collation in {"NOCASE", "RTRIM"}:
            forms, problem = (), f"its collation {collation} treats different texts as equal"
        return FoundColumn(
            self._name,
            self._type or "without a type",
            forms,
            self._nullable,
            None if self._hidden in _GENERATED else self._default,
            "an expression" if self._hidden in _GENERATED else None,
            "by default" if self._numbered else None,
            problem,
        )

    def _collation(self) -> str:
        if self._kind != "table":
            return "BINARY"
        table = self._table[1:-1].replace('""', '"')
        return str(self._db.column_metadata("main", table, self._name)[1]).upper()

    def _forms(self) -> tuple[tuple[str, ...], str | None]:
        word = self._type.upper().partition("(")[0].strip()
        special = {"BOOLEAN": self._boolean, "BOOL": self._boolean, "DATE": self._date, "TIME": self._time}
        if word in special:
            return special[word]()
        if word.startswith(("DATETIME", "TIMESTAMP")):
            return self._moment()
        return {
            "integer": self._integer,
            "text": self._text,
            "real": self._real,
            "blob": self._blob,
            "numeric": self._numeric,
        }[affinity(self._type)]()

    def _integer(self) -> tuple[tuple[str, ...], str | None]:
        return self._if_all("typeof({0}) = 'integer'", "sa.BigInteger", "some of its values are not integers")

    def _real(self) -> tuple[tuple[str, ...], str | None]:
        return self._if_all("typeof({0}) = 'real'", "sa.Double", "some of its values are not numbers")

    def _blob(self) -> tuple[tuple[str, ...], str | None]:
        if not self._type:
            return (), "it has no type, so that each value may have another one"
        return self._if_all("typeof({0}) = 'blob'", "sa.LargeBinary", "some of its values are not bytes")

    def _text(self) -> tuple[tuple[str, ...], str | None]:
        digits = _DIGITS.search(self._type)
        length = int(digits[1]) if digits else None
        if length is not None and not self._all(f"length({{0}}) <= {length}"):
            length = None
        form = "columns.text()" if length is None else f"columns.text({length})"
        return self._if_all("typeof({0}) = 'text'", form, "some of its values are not texts")

    def _boolean(self) -> tuple[tuple[str, ...], str | None]:
        condition = "typeof({0}) = 'integer' and {0} in (0, 1)"
        return self._if_all(condition, "sa.Boolean", "some of its values are neither 0 nor 1")

    def _date(self) -> tuple[tuple[str, ...], str | None]:
        condition = "typeof({0}) = 'text' and date({0}) is {0}"
        return (
            self._if_all(condition, "sa.Date", "some of its values are not written as 2024-02-29")
            if self._all(condition)
            else self._numbers("some of its values are not written as 2024-02-29")
        )

    def _time(self) -> tuple[tuple[str, ...], str | None]:
        problem = "its values are not all written as 12:30:00.000000, so that they would not be compared as times"
        if self._any() and self._all(f"typeof({{0}}) = 'text' and {{0}} glob '{_TIME}'"):
            return ("sa.Time",), None
        return self._numbers(problem)

    def _moment(self) -> tuple[tuple[str, ...], str | None]:
        problem = (
            "its values are not all written in one of the forms 2024-02-29T12:30:00.000000Z,"
            " 2024-02-29T12:30:00.000000, 2024-02-29 12:30:00.000000 and 2024-02-29 12:30:00, so that they would not be"
            " compared as times"
        )
        for written, form in _MOMENTS.items() if self._any() else ():
            if self._all(f"typeof({{0}}) = 'text' and {{0}} glob '{written}' and datetime({{0}}) is not null"):
                return (form,), None
        return self._numbers(problem)

    def _numbers(self, problem: str) -> tuple[tuple[str, ...], str | None]:
        """The form of times that are kept as numbers, such as seconds or days."""
        if self._any() and self._all("typeof({0}) = 'integer'"):
            return ("sa.BigInteger",), None
        if self._any() and self._all("typeof({0}) in ('integer', 'real')"):
            return ("sa.Double",), None
        return (), problem

    def _numeric(self) -> tuple[tuple[str, ...], str | None]:
        digits = _DIGITS.search(self._type)
        if not self._type.upper().startswith(("NUMERIC", "DECIMAL")):
            return (), "its type is not known, and texts in it that look like numbers become numbers"
        if not self._all("typeof({0}) in ('integer', 'real')"):
            return (), "some of its values are not numbers"
        if digits is None:
            return ("sa.Double",), None
        precision, scale = int(digits[1]), int(digits[2] or 0)
        if precision > _MOST_DIGITS:
            return (), f"it holds doubles, which have {_MOST_DIGITS} digits and not {precision}"
        if not self._all(f"abs({{0}}) < 1e{precision - scale} and cast(printf('%.{scale}f', {{0}}) as real) = {{0}}"):
            return (), f"some of its values have more than {scale} digits after the decimal point, or are too large"
        return (f'sa.Numeric({precision}, {scale}).with_variant(sa.REAL(), "sqlite")',), None

    def _if_all(self, condition: str, form: str, problem: str) -> tuple[tuple[str, ...], str | None]:
        return ((form,), None) if self._all(condition) else ((), problem)

    def _all(self, condition: str) -> bool:
        column = self._column
        return not self._exists(f"{column} is not null and not ({condition.format(column)})")

    def _any(self) -> bool:
        return self._exists(f"{self._column} is not null")

    def _exists(self, condition: str) -> bool:
        text = f"select 1 from {self._table} where {condition} limit 1"  # noqa: S608  # quoted names
        return bool(_rows(self._db, text))


def affinity(type_: str) -> str:
    """What SQLite makes of a declared type (https://www.sqlite.org/datatype3.html, 3.1)."""
    word = type_.upper()
    if "INT" in word:
        return "integer"
    if any(part in word for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if not word or "BLOB" in word:
        return "blob"
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "numeric"


def _references(db: apsw.Connection, table: str) -> Iterator[FoundReference]:
    by_id: dict[int, list[Any]] = {}
    for row in _rows(db, _REFERENCES, table):
        by_id.setdefault(row[0], []).append(row)
    for parts in by_id.values():
        name = _as_declared(db, parts[0][1])
        referred = tuple(row[3] for row in parts)
        if None in referred:
            referred = tuple(key for (key,) in _rows(db, _KEY, name))
        ondelete = parts[0][4] if parts[0][4] in {"CASCADE", "SET NULL"} else None
        yield FoundReference(tuple(row[2] for row in parts), name, referred, None, ondelete)


def _as_declared(db: apsw.Connection, table: str) -> str:
    """A table's name as the table itself has it: SQLite does not tell upper from lower case."""
    found = _rows(db, "select name from sqlite_schema where type = 'table' and name = ? collate nocase", table)
    return next((str(name) for (name,) in found), table)


def _unique(db: apsw.Connection, table: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for (name,) in _rows(db, _INDEXES, table):
        columns = _rows(db, "select name from pragma_index_info(?) order by seqno", name)
        if all(column is not None for (column,) in columns):
            yield name, tuple(column for (column,) in columns)


def _rows(db: apsw.Connection, text: str, *values: str) -> list[Any]:
    return db.execute(text, values).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
