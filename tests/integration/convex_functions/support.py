"""The functions as a client calls them, and tables of their own to call them on."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from convex import ConvexError
from convex import ConvexInt64
from convex import convex_to_json
from convex import json_to_convex

from database.columns import json as json_type
from database.columns import record_columns
from database.columns import text
from database.core.tables.schema import Schema
from tests.servers.convex_deployment import functions_with

metadata = sa.MetaData()

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("lot", text(), index=True),
    sa.Column("rank", sa.BigInteger, nullable=False, index=True),
    sa.Column("amount", sa.BigInteger, index=True),
    sa.Column("mass", sa.Double, index=True),
    sa.Column("done", sa.Boolean),
    sa.Column("note", text()),
    sa.Column("data", json_type()),
)

boxes = sa.Table(
    "boxes",
    metadata,
    *record_columns(),
    sa.Column("code", text(), unique=True),
    sa.Column("shelf", text()),
    sa.Column("place", sa.Integer),
    sa.Column("inside_id", text(255), sa.ForeignKey("boxes.id")),
    sa.Column("data", json_type()),
    sa.UniqueConstraint("shelf", "place"),
)

items = sa.Table(
    "items",
    metadata,
    *record_columns(),
    sa.Column("box_id", text(255), sa.ForeignKey("boxes.id"), nullable=False),
)

parcels = sa.Table(
    "parcels",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("weight", sa.BigInteger, nullable=False, info={"renamed_from": "mass"}),
    sa.Column("note", text(), info={"renamed_from": "label"}),
)

# A key of several columns, which are not the first ones.
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("note", text()),
    sa.Column("rank", sa.BigInteger, nullable=False, index=True),
    sa.Column("lot", text(255), nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("side", text(255), nullable=False),
    sa.PrimaryKeyConstraint("lot", "place", "side"),
)

SCHEMA = Schema.of(metadata)
MOMENT = "2026-01-02T03:04:05.000006Z"
BY_ID = [{"column": "id", "descending": False, "nulls_first": False}]

Row = dict[str, Any]
_numbers = iter(range(1_000_000))


class Functions:
    """A client that speaks for somebody.

    :param authorization: the header; None for an anonymous caller.
    """

    def __init__(self, url: str, authorization: str | None) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._headers = {} if authorization is None else {"Authorization": authorization}

    def close(self) -> None:
        self._client.close()

    def query(self, path: str, **arguments: Any) -> Any:
        return self._call("query", path, arguments)

    def mutation(self, path: str, **arguments: Any) -> Any:
        return self._call("mutation", path, arguments)

    def get(self, table: str, id: str) -> Row | None:  # noqa: A002
        return self.query("isthmus:get", table=table, id=id)  # type: ignore[no-any-return]

    def select(self, table: str, **arguments: Any) -> Row:
        """One page of rows."""
        usual = {"where": None, "order": BY_ID, "limit": None, "count": False, "group": None, "after": None}
        return self.query("isthmus:select", table=table, **{**usual, **arguments})  # type: ignore[no-any-return]

    def pages(self, table: str, **arguments: Any) -> list[Row]:
        """All pages, one after the other."""
        pages = [self.select(table, **arguments)]
        while pages[-1]["next"] is not None:
            pages.append(self.select(table, **arguments, after=pages[-1]["next"]))
        return pages

    def ids(self, table: str, **arguments: Any) -> list[str]:
        """The ids on the first page."""
        return [row["id"] for row in self.select(table, **arguments)["rows"]]

    def commit(self, *steps: Row, **arguments: Any) -> Row:
        """A commit of ``steps`` under a key of its own."""
        parts = ("reads", "ranges", "calls")
        usual: Row = {"key": f"key-{next(_numbers)}", "fingerprint": "f", "actor": None, **{part: [] for part in parts}}
        return self.mutation("isthmus:commit", **{**usual, "steps": list(steps), **arguments})  # type: ignore[no-any-return]

    def seed(self, table: str, rows: Sequence[Row], at_once: int = 1_500) -> None:
        """Put rows into a table, past all checks."""
        for start in range(0, len(rows), at_once):
            self.mutation("seed:insert", table=table, rows=list(rows[start : start + at_once]))

    def changes(self, rev: int = 0, seq: int = 0, limit: float = 1000.0) -> list[Row]:
        return self.query("isthmus:changes", rev=rev, seq=seq, limit=limit)  # type: ignore[no-any-return]

    def _call(self, kind: str, path: str, arguments: Mapping[str, Any]) -> Any:
        body = {"path": path, "args": convex_to_json(_encoded(arguments)), "format": "convex_encoded_json"}
        answer = self._client.post(f"/api/{kind}", json=body, headers=self._headers).raise_for_status().json()
        if answer["status"] == "success":
            return _decoded(json_to_convex(answer["value"]))
        if "errorData" in answer:
            raise ConvexError(answer["errorMessage"], _decoded(json_to_convex(answer["errorData"])))
        raise RuntimeError(answer["errorMessage"])


def acting(deploy_key: str, **identity: str) -> str:
    """The header with which the deploy key acts as somebody."""
    return f"Convex {deploy_key}:{base64.b64encode(json.dumps(identity).encode()).decode()}"


def deployed(folder: Path) -> Path:
    """The functions with the tables of this module, in ``folder``."""
    return functions_with(SCHEMA, folder, Path(__file__).parent / "functions")


def refusal(error: pytest.ExceptionInfo[ConvexError]) -> Any:
    """What a function said when it refused."""
    return error.value.data


def insert(table: str, row: Row) -> Row:
    return {"kind": "insert", "table": table, "id": row["id"], "row": row}


def update(table: str, row: Row) -> Row:
    return {"kind": "update", "table": table, "id": row["id"], "row": row}


def delete(table: str, id: str) -> Row:  # noqa: A002
    return {"kind": "delete", "table": table, "id": id, "row": None}


def read(table: str, id: str, expected: Row | None) -> Row:  # noqa: A002
    return {"table": table, "id": id, "expected": expected}


def box(id: str, **values: Any) -> Row:  # noqa: A002
    empty = {"code": None, "shelf": None, "place": None, "inside_id": None, "data": None}
    return _record(id) | empty | values


def item(id: str, box_id: str) -> Row:  # noqa: A002
    return _record(id) | {"box_id": box_id}


def sample(id: str, **values: Any) -> Row:  # noqa: A002
    empty = {"lot": None, "rank": 0, "amount": None, "mass": None, "done": None, "note": None, "data": None}
    return {"id": id} | empty | values


def _record(id: str) -> Row:  # noqa: A002
    return {"id": id, "created_at": MOMENT, "updated_at": MOMENT, "version": 1}


def _encoded(value: Any) -> Any:
    """Integers as Convex's int64; what is to be a float is one."""
    if isinstance(value, dict):
        return {key: _encoded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_encoded(part) for part in value]
    return ConvexInt64(value) if type(value) is int else value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decoded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_decoded(part) for part in value]
    return value.value if isinstance(value, ConvexInt64) else value
