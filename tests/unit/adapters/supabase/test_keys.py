"""Whose rights a request gets from which keys."""

from __future__ import annotations

import jwt
import pytest

from database.backends.supabase.keys import ApiKeys
from database.backends.supabase.keys import is_secret
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.errors import PermissionDenied

SECRET, PUBLISHABLE = "sb_secret_0123", "sb_publishable_0123"
USER = Identity("alice", "authenticated", token="alices-token")


def legacy(role: object) -> str:
    return jwt.encode({"role": role, "iss": "supabase"}, "a project's secret, of which nobody here knows", "HS256")


@pytest.mark.parametrize(
    ("key", "secret"),
    [(SECRET, True), (PUBLISHABLE, False), (legacy("service_role"), True), (legacy("anon"), False)],
)
def test_kinds_of_keys(key: str, secret: bool) -> None:
    assert is_secret(key) is secret


@pytest.mark.parametrize(
    "key", ["", "x", "a.b.c", "..", "a.e30.c", "a.W10.c", "a.é.c", legacy("authenticated"), legacy(["anon"]), "eyJ" * 9]
)
def test_what_is_no_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="SUPABASE_KEY") as refused:
        ApiKeys(key)
    assert len(key) < 3 or key not in str(refused.value)


@pytest.mark.parametrize("identity", [None, SERVICE, Identity("x", "service_role", token="t")], ids=repr)
def test_the_service_has_the_secret_key(identity: Identity | None) -> None:
    for keys in (ApiKeys(SECRET), ApiKeys(SECRET, PUBLISHABLE)):
        assert keys.headers(identity) == {"apikey": SECRET, "Authorization": f"Bearer {SECRET}"}


@pytest.mark.parametrize("keys", [ApiKeys(SECRET, PUBLISHABLE), ApiKeys(PUBLISHABLE)], ids=repr)
def test_callers_are_themselves_with_a_publishable_key(keys: ApiKeys) -> None:
    assert keys.row_security
    assert keys.headers(USER) == {"apikey": PUBLISHABLE, "Authorization": "Bearer alices-token"}
    nobody = {"apikey": PUBLISHABLE, "Authorization": f"Bearer {PUBLISHABLE}"}
    assert keys.headers(ANONYMOUS) == keys.headers(Identity("alice", "anon")) == nobody
    assert keys.headers(Identity("alice", "postgres")) == nobody
    with pytest.raises(PermissionDenied, match="token"):
        keys.headers(Identity("alice", "authenticated"))


@pytest.mark.parametrize("identity", [USER, ANONYMOUS, Identity("alice", "authenticated")], ids=repr)
def test_with_a_secret_key_alone_everybody_is_the_service(identity: Identity) -> None:
    keys = ApiKeys(SECRET)
    assert not keys.row_security
    assert keys.headers(identity)["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("identity", [None, SERVICE], ids=repr)
def test_the_application_needs_a_secret_key(identity: Identity | None) -> None:
    with pytest.raises(PermissionDenied, match="SUPABASE_KEY"):
        ApiKeys(PUBLISHABLE).headers(identity)


def test_a_secret_key_is_not_taken_for_a_publishable_one() -> None:
    with pytest.raises(ValueError, match="SUPABASE_ANON_KEY"):
        ApiKeys(SECRET, SECRET)
    with pytest.raises(ValueError, match="SUPABASE_KEY must be"):
        ApiKeys(None)


def test_keys_do_not_show() -> None:
    assert "0123" not in repr(ApiKeys(SECRET, PUBLISHABLE))
