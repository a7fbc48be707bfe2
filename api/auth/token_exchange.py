"""Sign-in over HTTP with the token of another issuer."""

from __future__ import annotations

from flask import Flask
from flask import request
from flask.typing import ResponseReturnValue

from api.auth.session_responses import flag
from api.auth.session_responses import read_fields
from api.auth.session_responses import signed_in
from auth import Accounts
from auth import sign_in
from auth import sign_in_limits
from auth import without_cookies
from config.settings import Settings
from database import ConnectionManager
from database import Isthmus
from database import transactional
from database.resilience.repetition import ATTEMPTS


def init_app(app: Flask, manager: ConnectionManager, settings: Settings) -> None:
    """Give ``app``, which has its accounts, ``POST /auth/exchange`` if ``AUTH_FOREIGN_ISSUERS`` names anybody.

    :raises ConfigurationError: if it names this application.
    """
    if not settings.auth_foreign_issuers:
        return
    tokens = sign_in.external_issuers.external_tokens(settings.auth_foreign_issuers, settings.jwt_issuer)
    accounts = sign_in.external_issuers.ExternalIdentities(manager, Isthmus.of(app)[Accounts])

    # Another issuer may be slow to answer: not while others wait for the write lock.
    @without_cookies
    @transactional(lazy=True, attempts=ATTEMPTS)
    def exchange() -> ResponseReturnValue:
        """Our tokens for another issuer's token; at the user's first time with a new account."""
        fields = read_fields("token", "cookies")
        in_cookies = flag(fields, "cookies")
        with sign_in_limits().sign_in(request.remote_addr):
            user = tokens.verify(fields.get("token"))
        return signed_in(accounts.find_or_create_account(user), in_cookies=in_cookies)

    app.add_url_rule("/auth/exchange", "exchange", exchange, methods=["POST"])
