"""Permissions: who has which, and what they open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from auth import middleware
from auth import permissions
from auth.bridge import AuthBridge
from auth.errors import AuthError
from auth.guards import permission_required
from auth.permissions import permissions_of
from auth.sign_in.accounts import Account
from database.core.context import Identity
from database.core.tables.access_rules import covering
from database.core.tables.access_rules import permission_rule
from tests.unit.auth.forging import make_bridge

MALFORMED = ["", " ", ":", "molecules", "molecules:", ":read", "a:b:c", "a b:read", "mol*:read", "**", "a:*:b", "a:b\n"]

parts = st.sampled_from(["*", "molecules", "notes", "read", "write"])
patterns = st.one_of(st.just("*"), st.builds("{}:{}".format, parts, parts))


@pytest.fixture
def bridge() -> AuthBridge:
    return make_bridge()


@pytest.fixture
def app(bridge: AuthBridge) -> Flask:
    app = Flask(__name__)
    app.register_error_handler(AuthError, lambda error: ({"message": error.message}, error.status))
    middleware.init_app(app, bridge)
    return app


def opened(app: Flask, needed: Sequence[str], token: str | None) -> int:
    """The status that a guarded route answers with."""
    app.get("/")(permission_required(*needed)(lambda: "secret"))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return app.test_client().get("/", headers=headers).status_code


def included(granted: str, needed: str) -> bool:
    """Part by part, as the documentation says it."""
    if granted == "*":
        return True
    if needed == "*":
        needed = "*:*"
    return all(one in {"*", other} for one, other in zip(granted.split(":"), needed.split(":"), strict=True))


@given(granted=patterns, needed=patterns)
def test_a_wildcard_covers_any_part_in_its_place(granted: str, needed: str) -> None:
    assert (granted in covering(needed)) is included(granted, needed)


@given(granted=st.lists(st.one_of(patterns, st.text(max_size=5)), max_size=4), needed=patterns)
def test_a_caller_has_what_one_of_their_permissions_includes(granted: list[str], needed: str) -> None:
    caller = Identity("u", "authenticated", {"app_metadata": {"permissions": granted}})
    known = [one for one in granted if one == "*" or one.count(":") == 1]
    assert permission_rule(needed).admits(caller) is any(included(one, needed) for one in known)


@pytest.mark.parametrize(
    ("has", "needed", "status"),
    [
        (["molecules:write"], ["molecules:write"], 200),
        (["molecules:*"], ["molecules:write"], 200),
        (["*:read"], ["molecules:read"], 200),
        (["*:read"], ["molecules:write"], 403),
        (["*"], ["molecules:write"], 200),
        (["molecules:read", "notes:write"], ["molecules:write"], 403),
        (["notes:read"], ["molecules:read", "notes:read"], 200),
        (["molecules:write"], ["molecules:*"], 403),
        (["Molecules:write", "molecules:writer"], ["molecules:write"], 403),
        ([], ["molecules:write"], 403),
    ],
)
def test_a_route_is_open_to_who_has_the_permission(
    app: Flask, bridge: AuthBridge, has: list[str], needed: list[str], status: int
) -> None:
    assert opened(app, needed, bridge.generate_token("u", {"permissions": has})) == status


def test_an_administrator_has_all_permissions(app: Flask, bridge: AuthBridge) -> None:
    assert opened(app, ["any:thing"], bridge.generate_token("u", {"role": "admin"})) == 200


def test_without_a_token_it_is_401(app: Flask) -> None:
    assert opened(app, ["any:thing"], None) == 401


@pytest.mark.parametrize("permission", MALFORMED)
def test_malformed_permissions_are_refused_at_once(permission: str) -> None:
    with pytest.raises(ValueError, match="area:action"):
        permission_required("molecules:read", permission)
    with pytest.raises(ValueError, match="needs at least one permission"):
        permission_required()


def test_a_role_brings_its_permissions_into_the_token(
    app: Flask, bridge: AuthBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permissions, "ROLE_PERMISSIONS", {"editor": ("molecules:*",), "bad": ("molecules",)})
    account = Account("u", "u@example.org", None, "editor")
    assert opened(app, ["molecules:write"], bridge.generate_token(account.id, account.user_data)) == 200
    plain: dict[str, Any] = Account("v", "v@example.org", None, "user").user_data
    assert not plain["permissions"]
    with pytest.raises(ValueError, match="area:action"):
        permissions_of("bad")


def test_a_token_with_all_permissions_of_a_role_fits_into_a_cookie(
    monkeypatch: pytest.MonkeyPatch, bridge: AuthBridge
) -> None:
    fitting = [f"area{number:03}:action" for number in range(70)]
    monkeypatch.setattr(permissions, "ROLE_PERMISSIONS", {"many": fitting, "more": [*fitting, "area070:action"]})
    user = {"email": "x" * 242 + "@example.org", "name": "n" * 100, "role": "r" * 30}
    token = bridge.generate_token(
        str(uuid4()), {**user, "permissions": permissions_of("many")}, session_id=str(uuid4())
    )
    # An RSA key of 4096 bits signs with 597 characters more.
    assert len(token) + 597 + len("__Host-isthmus_access=") <= 4096
    assert bridge.verify(token)["app_metadata"]["permissions"] == fitting
    with pytest.raises(ValueError, match=r"'more' in config/permissions.py have 12\d\d bytes .*use wildcards"):
        permissions_of("more")
    with pytest.raises(ValueError, match="at most 8192 are accepted"):
        bridge.generate_token("u", {"permissions": fitting * 8})
