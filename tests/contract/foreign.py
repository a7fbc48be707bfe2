"""Other programs that write invalid values to the same tables."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from typing import Any
from typing import ClassVar

import apsw
import httpx
import psycopg
from convex import ConvexInt64
from convex import convex_to_json

MOMENT = "2026-01-01T00:00:00.000000Z"

MISSING = object()
"""Instead of a value: the row is created without the column."""

Spoiled = tuple[tuple[str, Any], ...]


class ForeignProgram(ABC):
    """Writes rows of the table ``things``.

    :cvar bad: columns with values that they cannot have and yet have here, as this program writes them.
    :cvar odd: columns with values that they can have, in words that are not ours.
    """

    bad: ClassVar[Spoiled]
    odd: ClassVar[Spoiled]

    @abstractmethod
    def write(self, id: str, column: str, value: Any) -> None:  # noqa: A002
        """Make a row with a value in one column."""

    @abstractmethod
    def spoil(self, id: str, column: str, value: Any) -> None:  # noqa: A002
        """Change one column of a row."""


class _SqlProgram(ForeignProgram):
    """:param connection: what executes SQL; values are SQL expressions."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def write(self, id: str, column: str, value: Any) -> None:  # noqa: A002
        names = "id, created_at, updated_at, version, label, rank"
        values = f"'{id}', '{MOMENT}', '{MOMENT}', 1, '{id}', 0"
        self._execute(f"insert into things ({names}) values ({values})")
        self.spoil(id, column, value)

    def spoil(self, id: str, column: str, value: Any) -> None:  # noqa: A002
        self._execute(f"update things set {column} = {value} where id = '{id}'")

    @abstractmethod
    def _execute(self, text: str) -> None: ...


class SqliteProgram(_SqlProgram):
    """On a file."""

    bad: ClassVar[Spoiled] = (
        ("seen", "'infinity'"),
        ("ratio", "9e999"),
        ("data", "'{broken'"),
        ("title", "cast(x'ff41' as text)"),
        ("amount", "'one'"),
        ("raw", "'text'"),
        ("span", "'P1D'"),
        ("noted", "'2024-02-29T12:00:00Z'"),
        ("tags", "'[\"a\",null]'"),
        ("scores", "'[1.5]'"),
    )
    odd: ClassVar[Spoiled] = (("seen", "'2026-01-01T00:00:00+01:00'"), ("data", """'{"a" : 1.00}'"""))

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection)

    def _execute(self, text: str) -> None:
        self._connection.execute(text)


class PostgresProgram(_SqlProgram):
    """On a server."""

    bad: ClassVar[Spoiled] = (
        ("seen", "'infinity'"),
        ("seen", "'-infinity'"),
        ("seen", "'12026-01-01T00:00:00Z'"),
        ("seen", "'0044-03-15T00:00:00Z BC'"),
        ("ratio", "'NaN'"),
        ("ratio", "'-Infinity'"),
        ("data", """'{"a": 1e999}'"""),
        ("span", "'1 month'"),
        ("noted", "'infinity'"),
        ("noted", "'12026-01-01T00:00:00'"),
        ("tags", "array['a', null, 'NULL']"),
        ("tags", "'{{a},{b}}'"),
        ("span", "'-2 years 3 days'"),
    )
    odd: ClassVar[Spoiled] = (
        ("data", """'{"a": 1.00, "b": 0.123456789012345678901234567890}'"""),
        ("data", """'[123456789012345678901234567890]'"""),
    )

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)

    def _execute(self, text: str) -> None:
        self._connection.execute(text.encode())


class ConvexProgram(ForeignProgram):
    """On a deployment, whose schema takes any text for a moment and any number.

    :param table: of the rows that it changes.
    """

    bad: ClassVar[Spoiled] = (
        ("seen", "infinity"),
        ("seen", "-infinity"),
        ("seen", "12026-01-01T00:00:00.000000Z"),
        ("ratio", float("nan")),
        ("ratio", float("-inf")),
        ("data", {"a": float("inf")}),
        ("data", [b"bytes"]),
        ("raw", "FF"),
        ("tags", "[1"),
    )
    odd: ClassVar[Spoiled] = (
        ("seen", "2026-01-01T00:00:00.000Z"),
        ("seen", "2026-01-01T00:00:00+01:00"),
        ("data", {"~a": -0.0}),
    )

    def __init__(self, url: str, key: str, table: str = "things") -> None:
        self._table = table
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Convex {key}"}, trust_env=False)
        self._number = 0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def write(self, id: str, column: str, value: Any) -> None:  # noqa: A002
        row: dict[str, Any] = dict.fromkeys(("code", "title", "amount", "ratio", "done", "seen", "data"))
        row |= {"id": id, "label": id, "rank": ConvexInt64(0), "version": ConvexInt64(1)}
        row |= {"created_at": MOMENT, "updated_at": MOMENT, column: value}
        self._commit("insert", id, None, {name: part for name, part in row.items() if part is not MISSING})

    def spoil(self, id: str, column: str, value: Any) -> None:  # noqa: A002
        answer = self._call("query", "isthmus:get", {"table": self._table, "id": id})
        self._commit("update", id, answer, answer | _converted({column: value}))

    def _commit(self, kind: str, id: str, before: Any, row: dict[str, Any]) -> None:  # noqa: A002
        self._number += 1
        key = f"foreign-{id}-{self._number}"
        step = {"kind": kind, "table": self._table, "id": id, "row": row if before else _converted(row)}
        reads = [{"table": self._table, "id": id, "expected": before}]
        request = {"key": key, "fingerprint": key, "actor": None, "reads": reads, "ranges": [], "steps": [step]}
        self._call("mutation", "isthmus:commit", {**request, "calls": []})

    def _call(self, route: str, path: str, arguments: dict[str, Any]) -> Any:
        body = {"path": path, "args": arguments, "format": "convex_encoded_json"}
        answer = self._client.post(f"/api/{route}", json=body).raise_for_status().json()
        assert answer["status"] == "success", answer
        return answer["value"]


def _converted(row: dict[str, Any]) -> dict[str, Any]:
    converted: Any = convex_to_json(row)
    return dict(converted)
