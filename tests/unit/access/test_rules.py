"""What a table's declaration means, and which callers it lets in."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from config.tables import metadata
from database.core.access import INTERNAL
from database.core.access import NOBODY
from database.core.access import UNDECLARED
from database.core.access import Rule
from database.core.access import is_caller
from database.core.access import rules_of
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity


def table(**info: Any) -> sa.Table:
    columns = (sa.Column("id", sa.String, primary_key=True), sa.Column("owner", sa.String), sa.Column("n", sa.Integer))
    return sa.Table("t", sa.MetaData(), *columns, info=info)


def user(role: Any = "user", permissions: Any = ()) -> Identity:
    return Identity("u", "authenticated", {"app_metadata": {"role": role, "permissions": permissions}})


def test_every_kind_of_audience_is_read() -> None:
    rules = rules_of(table(access={"read": "anyone", "write": "owner", "delete": "permission:t:*"}, owner="owner"))
    assert (rules.read, rules.write, rules.delete) == (Rule("anyone"), Rule("owner"), Rule("permission", "t:*"))
    assert rules.owner == "owner"
    rules = rules_of(table(access={"read": "user", "write": "chief"}))
    assert (rules.read, rules.write, rules.delete) == (Rule("user"), Rule("role", "chief"), NOBODY)
    assert rules.declared


def test_what_declares_nothing_and_what_is_internal_is_nobodys() -> None:
    assert rules_of(table()) == UNDECLARED
    assert rules_of(table(internal=True, access={"read": "anyone"})) == INTERNAL


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"access": {"reed": "anyone"}}, "read, write and delete"),
        ({"access": "anyone"}, "read, write and delete"),
        ({"access": {"read": None}}, "the read access of table 't' must be"),
        ({"access": {"write": " "}}, "the write access"),
        ({"access": {"read": ["user"]}}, "the read access"),
        ({"access": {"read": "permissions:t:read"}}, "the read access"),
        ({"access": {"read": "permission:t"}}, "area:action"),
        ({"access": {"read": "permission:t:read:all"}}, "area:action"),
        ({"access": {"delete": "permission:"}}, "area:action"),
        ({"access": {"read": "owner"}}, r'needs info\["owner"\]'),
        ({"access": {"read": "owner"}, "owner": "nobody"}, r'needs info\["owner"\]'),
        ({"access": {"read": "owner"}, "owner": "n"}, "text column"),
        ({"access": {"read": "user"}, "owner": "owner"}, "none of its rules"),
        ({"owner": "owner"}, "declares no access"),
    ],
)
def test_nonsense_is_refused_by_name(info: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rules_of(table(**info))


@pytest.mark.parametrize("audience", ["anyone", "user", "owner", "role", "permission", "nobody"])
@pytest.mark.parametrize(
    ("identity", "admitted"),
    [
        (ANONYMOUS, "anyone"),
        (Identity("u", "anon", {"app_metadata": {"role": "admin"}}), "anyone"),
        (Identity("u", "postgres"), "anyone"),
        (Identity(None, "authenticated"), "anyone user"),
        (Identity("", "authenticated"), "anyone user"),
        (Identity("u", "authenticated"), "anyone user owner"),
        (Identity("u", "authenticated", {"role": "chief", "permissions": ["*"]}), "anyone user owner"),
        (Identity("u", "authenticated", {"user_metadata": {"role": "admin"}}), "anyone user owner"),
        (Identity("u", "authenticated", {"app_metadata": "admin"}), "anyone user owner"),
        (user(), "anyone user owner"),
        (user("chief"), "anyone user owner role"),
        (user(["chief"]), "anyone user owner"),
        (user("admin"), "anyone user owner role permission"),
        (user(permissions=["t:read"]), "anyone user owner permission"),
        (user(permissions="t:read"), "anyone user owner"),
        (user(permissions="*"), "anyone user owner"),
        (user(permissions={"*": True}), "anyone user owner"),
        (user(permissions=[["*"], None, 1]), "anyone user owner"),
    ],
    ids=lambda one: f"{one} {one.claims}" if isinstance(one, Identity) else "",
)
def test_a_rule_admits_whom_it_names(audience: Any, identity: Identity, admitted: str) -> None:
    rule = Rule(audience, {"role": "chief", "permission": "t:read"}.get(audience, ""))
    assert rule.admits(identity) is (audience in admitted.split())


def test_the_application_is_no_caller() -> None:
    assert not is_caller(None)
    assert not is_caller(SERVICE)
    assert is_caller(ANONYMOUS)
    assert is_caller(user("admin"))


def test_all_shipped_tables_say_whom_they_are_for() -> None:
    for shipped in metadata.sorted_tables:
        assert rules_of(shipped).declared
    assert rules_of(metadata.tables["notes"]).owner == "owner_id"
