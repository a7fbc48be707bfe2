"""Authentication: signing keys, access tokens, accounts, sessions and the guards of routes.

These are the public names. Everything else in the package is internal and may change. The package uses the data layer
and never imports the HTTP interface.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from auth.bridge import AuthBridge
    from auth.errors import AccessDenied
    from auth.errors import AuthenticationFailed
    from auth.errors import AuthError
    from auth.errors import InvalidRegistration
    from auth.errors import SessionEnded
    from auth.errors import UnknownAccount
    from auth.errors import UnknownSession
    from auth.guards import convex_identity_required
    from auth.guards import jwt_required
    from auth.guards import permission_required
    from auth.guards import role_required
    from auth.sessions.cookies import SessionCookies
    from auth.sessions.cookies import without_cookies
    from auth.sessions.sessions import Grant
    from auth.sessions.sessions import Sessions
    from auth.sign_in.accounts import Account
    from auth.sign_in.accounts import Accounts
    from auth.sign_in.limits import sign_in_limits
else:
    _HOMES = {
        "bridge": ("AuthBridge",),
        "errors": (
            *("AccessDenied", "AuthError", "AuthenticationFailed", "InvalidRegistration", "SessionEnded"),
            *("UnknownAccount", "UnknownSession"),
        ),
        "guards": ("convex_identity_required", "jwt_required", "permission_required", "role_required"),
        "sessions.cookies": ("SessionCookies", "without_cookies"),
        "sessions.sessions": ("Grant", "Sessions"),
        "sign_in.accounts": ("Account", "Accounts"),
        "sign_in.limits": ("sign_in_limits",),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "AccessDenied",
    "Account",
    "Accounts",
    "AuthBridge",
    "AuthError",
    "AuthenticationFailed",
    "Grant",
    "InvalidRegistration",
    "SessionCookies",
    "SessionEnded",
    "Sessions",
    "UnknownAccount",
    "UnknownSession",
    "convex_identity_required",
    "jwt_required",
    "permission_required",
    "role_required",
    "sign_in_limits",
    "without_cookies",
]
