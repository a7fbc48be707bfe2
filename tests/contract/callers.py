"""Callers with the claims and the token that each backend requires, and their rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Final

import jwt

from database.adapter.base import DatabaseAdapter
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.operations import Insert
from database.core.operations import Select
from database.core.result import Row
from tests.servers.supabase_api import JWT_SECRET


def caller(subject: str, role: str = "user", permissions: Sequence[str] = ()) -> Identity:
    """A signed-in caller with an application's role and permissions."""
    now = int(time.time())
    claims = {
        "sub": subject,
        "aud": "authenticated",
        "role": "authenticated",
        "iat": now,
        "exp": now + 3600,
        "app_metadata": {"role": role, "permissions": list(permissions)},
    }
    return Identity(subject, "authenticated", claims, jwt.encode(claims, JWT_SECRET, "HS256"))


ADA: Final = caller("0198c5d2-0000-7000-8000-00000000000a")
BOB: Final = caller("0198c5d2-0000-7000-8000-00000000000b")
ADMIN: Final = caller("0198c5d2-0000-7000-8000-00000000000c", "admin")
STAFF: Final = caller("0198c5d2-0000-7000-8000-00000000000d", "staff")
CLEANER: Final = caller("0198c5d2-0000-7000-8000-00000000000e", permissions=["tickets:delete"])


def asking(identity: Identity | None) -> AbstractContextManager[None]:
    """Calls as ``identity``; for None, calls without an identity."""
    return nullcontext() if identity is None else acting_as(identity)


def begin_diaries(adapter: DatabaseAdapter) -> None:
    """Give Ada two entries in her diary, and Bob one."""
    adapter.run(Insert("diaries", [entry("a1", ADA), entry("a2", ADA), entry("b1", BOB)]))


def entry(id: str, owner: Identity, title: str = "") -> Row:  # noqa: A002
    return {"id": id, "owner_id": owner.subject, "title": title or id}


def written(adapter: DatabaseAdapter) -> list[Row]:
    """All entries, read as the application."""
    with as_application():
        return adapter.run(Select("diaries")).rows
