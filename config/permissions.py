"""The permissions that come with the application's roles."""

from __future__ import annotations

from collections.abc import Mapping

ROLE_PERMISSIONS: Mapping[str, tuple[str, ...]] = {}
"""By role, as in ``{"editor": ("molecules:*", "experiments:write")}``; ``admin`` has all of them without being named.

They are put into the tokens that are made from then on.
"""
