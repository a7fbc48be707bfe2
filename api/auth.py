"""Accounts over HTTP: registration, sign-in, and who is signed in."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask import Flask
from flask import current_app
from flask import g
from flask import jsonify
from flask.typing import ResponseReturnValue

from api.bodies import read_object
from auth.accounts import Account
from auth.accounts import Accounts
from auth.bridge import AuthBridge
from auth.errors import InvalidRegistration
from auth.errors import UnknownAccount
from auth.guards import jwt_required
from auth.middleware import EXTENSION
from database.connection_manager import ConnectionManager
from database.flask_transactions import transactional

blueprint = Blueprint("auth", __name__, url_prefix="/auth")

_ACCOUNTS = "isthmus_accounts"
_UNCACHED = {"Cache-Control": "no-store"}


def init_app(app: Flask, manager: ConnectionManager) -> None:
    """Give ``app`` the accounts in ``manager``'s databases, and the routes to them."""
    app.extensions[_ACCOUNTS] = Accounts(manager)
    app.register_blueprint(blueprint)


# Hashing a password takes long on purpose: not while others wait for the write lock.
@blueprint.post("/register")
@transactional(lazy=True)
def register() -> ResponseReturnValue:
    """A new account, signed in."""
    fields = _read_fields("email", "password", "name")
    account = _accounts().register(fields.get("email"), fields.get("password"), fields.get("name"))
    return _signed_in(account), 201, _UNCACHED


@blueprint.post("/login")
@transactional(lazy=True)
def login() -> ResponseReturnValue:
    """A token for an e-mail address and its password."""
    fields = _read_fields("email", "password")
    account = _accounts().authenticate(fields.get("email"), fields.get("password"))
    return _signed_in(account), 200, _UNCACHED


@blueprint.get("/me")
@jwt_required
def me() -> ResponseReturnValue:
    """The account that the token belongs to, as it is now."""
    account = _accounts().get(g.user_id)
    if account is None:
        raise UnknownAccount
    return jsonify(_shown(account)), _UNCACHED


def _read_fields(*names: str) -> dict[str, Any]:
    """The body, which must have no other members: whoever sends a role shall not believe that it was granted."""
    body = read_object()
    unknown = next((name for name in body if name not in names), None)
    if unknown is not None:
        raise InvalidRegistration(unknown[:64], f"There is no such field; known are {', '.join(names)}")
    return body


def _signed_in(account: Account) -> dict[str, Any]:
    bridge: AuthBridge = current_app.extensions[EXTENSION]
    return {
        "access_token": bridge.generate_token(account.id, account.user_data),
        "token_type": "Bearer",
        "expires_in": bridge.expiry,
        "user": _shown(account),
    }


def _shown(account: Account) -> dict[str, Any]:
    return {"id": account.id, **account.user_data}


def _accounts() -> Accounts:
    accounts: Accounts = current_app.extensions[_ACCOUNTS]
    return accounts
