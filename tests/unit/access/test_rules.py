"""What a table's declaration means, and which callers it lets in."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.tables.access_rules import INTERNAL
from database.core.tables.access_rules import NOBODY
from database.core.tables.access_rules import UNDECLARED
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Rule
from database.core.tables.access_rules import is_caller
from database.core.tables.access_rules import rules_of
from tests.laboratory.config.tables import metadata


def table(**info: Any) -> sa.Table:
    columns = (sa.Column("id", sa.String, primary_key=True), sa.Column("owner", sa.String), sa.Column("n", sa.Integer))
    return sa.Table("t", sa.MetaData(), *columns, info=info)


def only(audience: Any, name: str = "") -> Access:
    return Access((Rule(audience, name),))


def user(role: Any = "user", permissions: Any = ()) -> Identity:
    return Identity("u", "authenticated", {"app_metadata": {"role": role, "permissions": permissions}})


def test_every_kind_of_audience_is_read() -> None:
    rules = rules_of(table(access={"read": "anyone", "write": "owner", "delete": "permission:t:*"}, owner="owner"))
    assert (rules.read, rules.write, rules.delete) == (only("anyone"), only("owner"), only("permission", "t:*"))
    assert rules.owner == "owner"
    rules = rules_of(table(access={"read": "user", "write": "chief", "delete": "role:chief"}))
    assert (rules.read, rules.write, rules.delete) == (only("user"), only("role", "chief"), only("role", "chief"))
    assert rules.declared
    assert rules_of(table(access={"read": "user"})).write == NOBODY


def test_a_list_is_for_all_that_it_names() -> None:
    rules = rules_of(table(access={"read": ["owner", "role:staff", "permission:t:read", "owner"]}, owner="owner"))
    assert rules.read == Access((Rule("owner"), Rule("role", "staff"), Rule("permission", "t:read")))
    assert str(rules.read) == "owner or role staff or permission t:read"


@pytest.mark.parametrize(
    ("identity", "reach"),
    [
        (ANONYMOUS, "no rows"),
        (Identity(None, "authenticated"), "no rows"),
        (Identity(None, "authenticated", {"app_metadata": {"role": "staff"}}), "all rows"),
        (Identity("u", "authenticated"), "own rows"),
        (Identity("u", "authenticated", {"app_metadata": {"role": "staff"}}), "all rows"),
        (Identity("u", "authenticated", {"app_metadata": {"role": "admin"}}), "all rows"),
        (Identity("u", "anon", {"app_metadata": {"role": "staff"}}), "no rows"),
    ],
)
def test_whoever_one_of_a_list_admits_reaches_as_far_as_that_one(identity: Identity, reach: str) -> None:
    assert Access((Rule("owner"), Rule("role", "staff"))).reach(identity) == reach
    assert Access((Rule("role", "staff"), Rule("owner"))).reach(identity) == reach
    assert NOBODY.reach(identity) == "no rows"


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
        ({"access": {"read": []}}, "the read access"),
        ({"access": {"read": ["user", "staff"]}}, "the read access.*role:<name>"),
        ({"access": {"read": ["user", ["owner"]]}}, "the read access"),
        ({"access": {"read": "owner|staff"}}, r"or a list of these; not 'owner\|staff'"),
        ({"access": {"read": "owner, staff"}}, "the read access"),
        ({"access": {"read": "o'chief"}}, "letters, digits"),
        ({"access": {"read": "role:"}}, "the read access"),
        ({"access": {"read": "user:"}}, "the read access"),
        ({"acces": {"read": "user"}}, "has the key 'acces'; did you mean 'access'"),
        ({"Access": {"read": "user"}}, "did you mean 'access'"),
        ({"access": {"read": "owner"}, "owners": "owner"}, "did you mean 'owner'"),
        ({"internl": True}, "did you mean 'internal'"),
        ({"access": {"read": "permissions:t:read"}}, "the read access"),
        ({"access": {"read": "permission:t"}}, "area:action"),
        ({"access": {"read": "permission:t:read:all"}}, "area:action"),
        ({"access": {"delete": "permission:"}}, "area:action"),
        ({"access": {"read": "owner"}}, r'needs info\["owner"\]'),
        ({"access": {"read": "owner"}, "owner": "nobody"}, r'needs info\["owner"\]'),
        ({"access": {"read": "owner"}, "owner": "n"}, "text column"),
        ({"access": {"read": "user"}, "owner": "owner"}, "none of its access rules"),
        ({"owner": "owner"}, r'no info\["access"\]'),
    ],
)
def test_nonsense_is_refused_by_name(info: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rules_of(table(**info))


def test_other_keys_of_a_table_are_its_own_business() -> None:
    assert rules_of(table(access={"read": "user"}, bind_key="other", comment="internal use")).declared


@pytest.mark.parametrize("audience", ["anyone", "user", "owner", "role", "permission"])
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
