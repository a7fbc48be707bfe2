"""The permissions of the application's roles."""

from __future__ import annotations

from collections.abc import Mapping

ROLE_PERMISSIONS: Mapping[str, tuple[str, ...]] = {}
"""By role, as in ``{"editor": ("molecules:*", "experiments:write")}``. ``admin`` has all permissions without an entry.

New tokens contain the permissions; a change does not affect tokens that are already issued.
"""
