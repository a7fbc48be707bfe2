"""Every option of SQLAlchemy's ``Column`` is honoured, or refused when the table is declared."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from database.columns import json
from database.columns import record_columns
from database.columns import text
from database.columns import timestamp
from database.core.clock import utc_now
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.core.tables.schema import table_schema

HONOURED = {
    "name",
    "type_",
    "default",
    "insert_default",
    "index",
    "unique",
    "info",
    "nullable",
    "onupdate",
    "primary_key",
    "server_default",
}
WITHOUT_EFFECT_ON_ROWS = {"autoincrement", "doc", "quote", "comment", "insert_sentinel"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"key": "k"}, "leave it out"),
    "server_onupdate": ({"server_onupdate": sa.FetchedValue()}, "use onupdate="),
    "system": ({"system": True}, "leave the column out"),
}


def _declared(*items: Any, **options: Any) -> TableSchema:
    return table_schema(sa.Table("t", sa.MetaData(), *record_columns(), sa.Column("c", *items, **options)))


def test_every_option_of_a_column_is_accounted_for() -> None:
    parameters = inspect.signature(sa.Column.__init__).parameters.values()
    options = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY and not one.name.startswith("_")}
    assert options == HONOURED | WITHOUT_EFFECT_ON_ROWS | set(REFUSED)


@pytest.mark.parametrize(("options", "remedy"), REFUSED.values(), ids=REFUSED)
def test_an_option_that_cannot_be_kept_is_refused(options: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"column t\.c: the option \w+ .*{remedy}"):
        _declared(text(), **options)


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        ([sa.BigInteger, sa.Computed("version * 2")], {}, "Computed .* use default= and onupdate="),
        ([sa.BigInteger, sa.Identity()], {}, "Identity .* use default="),
        ([sa.BigInteger, sa.Sequence("s")], {}, "default .* use server_default="),
        ([text()], {"default": sa.func.lower("A")}, "default .* use server_default="),
        ([timestamp()], {"onupdate": sa.func.now()}, "onupdate .* a function that is called in Python"),
        ([sa.BigInteger], {"default": "one"}, "must be an integer"),
        ([sa.BigInteger], {"server_default": "one"}, "must be an integer"),
        ([text(3)], {"default": "long"}, "must not be longer than 3"),
        ([text(3)], {"server_default": "long"}, "must not be longer than 3"),
    ],
)
def test_a_default_that_is_none_is_refused(items: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"column t\.c: .*{message}"):
        _declared(*items, **options)


@pytest.mark.parametrize("option", [{"default": utc_now}, {"onupdate": utc_now}])
def test_columns_that_the_data_layer_fills_in_have_no_options(option: dict[str, Any]) -> None:
    table = sa.Table(
        "t", sa.MetaData(), sa.Column("id", text(), primary_key=True), sa.Column("updated_at", timestamp(), **option)
    )
    with pytest.raises(ValueError, match=r"updated_at: the option .* is filled in by the data layer"):
        table_schema(table)


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        (text(), {"default": lambda: "x"}, "x"),
        (text(), {"insert_default": lambda: "x"}, "x"),
        (text(), {"default": partial("{}".format, 1)}, "1"),
        (text(), {"default": lambda context: context.current_parameters["id"]}, "a"),
        (json(), {"default": dict}, {}),
        (text(), {"server_default": "it's"}, "it's"),
        (text(), {"server_default": sa.text("'it''s'")}, "it's"),
        (text(), {"server_default": sa.text("'x'::character varying(20)")}, "x"),
        (sa.BigInteger(), {"server_default": "3"}, 3),
        (sa.BigInteger(), {"server_default": sa.text("(-3)")}, -3),
        (sa.Boolean(), {"server_default": sa.false()}, False),
        (sa.Boolean(), {"server_default": "1"}, True),
        (sa.Double(), {"server_default": sa.text("1.5")}, 1.5),
        (json(), {"server_default": sa.text("""'{"a": 1}'""")}, {"a": 1}),
        (text(), {"server_default": sa.text("null")}, None),
    ],
)
def test_a_default_is_known(kind: Any, option: dict[str, Any], value: Any) -> None:
    schema = _declared(kind, **option)
    assert complete_row(schema, {"id": "a"}, utc_now())["c"] == value
    assert not schema.server_made


@pytest.mark.parametrize("default", [sa.text("lower('A')"), sa.text("nextval('s')"), sa.FetchedValue()])
def test_what_only_the_database_can_make_is_left_to_it(default: Any) -> None:
    schema = _declared(text(), server_default=default)
    assert schema.server_made == ("c",)
    assert "c" not in complete_row(schema, {"id": "a"}, utc_now())
