"""Sign-in: accounts with passwords, tokens of external issuers, and rate limits.

The modules for HTTP and Redis are imported only if the settings need them.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from auth.sign_in import bearer_tokens
    from auth.sign_in import external_issuers
    from auth.sign_in import redis_counters
else:
    _MODULES = ("bearer_tokens", "external_issuers", "redis_counters")
    __getattr__ = on_first_use(__name__, dict(zip(_MODULES, _MODULES, strict=True)))

__all__ = ["bearer_tokens", "external_issuers", "redis_counters"]
