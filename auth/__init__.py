"""Identity: keys, access tokens, accounts, and the guards of routes. Knows the data layer, never the HTTP interface.

What an application uses is named here; everything else is inside, and may change.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from auth.bridge import AuthBridge
    from auth.errors import AuthenticationFailed
    from auth.errors import AuthError
    from auth.guards import convex_identity_required
    from auth.guards import jwt_required
    from auth.guards import permission_required
    from auth.guards import role_required
else:
    _HOMES = {
        "bridge": ("AuthBridge",),
        "errors": ("AuthError", "AuthenticationFailed"),
        "guards": ("convex_identity_required", "jwt_required", "permission_required", "role_required"),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "AuthBridge",
    "AuthError",
    "AuthenticationFailed",
    "convex_identity_required",
    "jwt_required",
    "permission_required",
    "role_required",
]
