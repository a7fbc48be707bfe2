"""The route ``/auth/exchange``: sign-in with the token of an external issuer."""

from __future__ import annotations

from flask import Flask
from flask import request
from flask.typing import ResponseReturnValue

from api.auth.session_responses import begin_session
from api.auth.session_responses import flag
from api.auth.session_responses import read_fields
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
    """Add ``POST /auth/exchange`` to ``app`` if ``AUTH_FOREIGN_ISSUERS`` is set and it has accounts of its own.

    :raises ConfigurationError: if one of the issuers is this application.
    """
    if not settings.auth_foreign_issuers or not settings.auth_accounts:
        return
    tokens = sign_in.external_issuers.external_tokens(settings.auth_foreign_issuers, settings.jwt_issuer)
    accounts = sign_in.external_issuers.ExternalIdentities(manager, Isthmus.of(app)[Accounts])

    # Lazy: a slow external issuer must not hold the write lock.
    @without_cookies
    @transactional(lazy=True, attempts=ATTEMPTS)
    def exchange() -> ResponseReturnValue:
        """Return our tokens for the token of an external issuer. The first sign-in of a user creates an account."""
        fields = read_fields("token", "cookies")
        in_cookies = flag(fields, "cookies")
        with sign_in_limits().sign_in(request.remote_addr):
            user = tokens.verify(fields.get("token"))
        return begin_session(accounts.find_or_create_account(user), in_cookies=in_cookies)

    app.add_url_rule("/auth/exchange", "exchange", exchange, methods=["POST"])
