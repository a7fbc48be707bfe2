"""Sign-in: accounts with passwords, tokens of external issuers, and rate limits.

The modules for HTTP and Redis are imported only if the settings need them.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from auth.sign_in import external_issuers
    from auth.sign_in import redis_counters
else:
    __getattr__ = on_first_use(__name__, {"external_issuers": "external_issuers", "redis_counters": "redis_counters"})

__all__ = ["external_issuers", "redis_counters"]
