"""Tables with functions of the application's own, and a look at them past all transactions."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from database.backends.convex import ConvexAdapter
from database.columns import OWN_ROWS
from database.columns import record_columns
from database.columns import text
from database.core.context import Identity
from database.core.tables.schema import Schema
from database.internal_tables import idempotency_keys
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.tokens import TokenSigner

FUNCTIONS = Path(__file__).parent / "functions"
TIMEOUT = 30  # seconds; only what is broken needs them

metadata = sa.MetaData()

orders = sa.Table(
    "orders",
    metadata,
    *record_columns(),
    sa.Column("item", text(), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    info={"access": {"read": "user", "write": "user"}},
)

entries = sa.Table("entries", metadata, *record_columns(), sa.Column("text", text(), nullable=False))

diaries = sa.Table(
    "diaries",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(255), nullable=False),
    sa.Column("title", text(), nullable=False),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)

idempotency_keys.to_metadata(metadata)

RULES: dict[str, Mapping[str, object] | None] = {
    "closed": None,
    "open": dict.fromkeys(("read", "write", "delete"), "anyone"),
    "signed": {"read": "user", "write": "user"},
    "shown": {"read": "anyone", "write": "owner", "delete": ["owner", "role:staff"]},
    "staffed": {"read": ["owner", "role:staff"], "write": ["owner", "role:staff"], "delete": "permission:desk:delete"},
    "granted": {"read": "permission:desk:read", "write": ["permission:desk:write", "owner"], "delete": "owner"},
}
"""The access of tables that are alike in all else, by their names."""

for name, access in RULES.items():
    info = {} if access is None else {"access": access}
    owner = {"owner": "owner_id"} if "owner" in str(access) else {}
    sa.Table(
        name,
        metadata,
        *record_columns(),
        sa.Column("owner_id", text(255)),
        sa.Column("title", text()),
        info=info | owner,
    )

_RULED = """
import { v } from "convex/values";
import { recordFunctions } from "./lib/record_functions";

export const { list, get, create, update, remove } = recordFunctions("%s" as never, {
  owner_id: v.optional(v.string()),
  title: v.string(),
});
"""

SCHEMA = Schema.of(metadata)


def lay_out(folder: Path) -> Path:
    """Write the functions into ``folder``, with record functions for each of the :data:`RULES`; where they are."""
    target = functions_with(SCHEMA, folder, FUNCTIONS)
    for name in RULES:
        (target / f"{name}.ts").write_text(_RULED % name)
    imports = "".join(f'import * as {name} from "./{name}";\n' for name in (*RULES, "diaries", "orders"))
    modules = f"export const RECORD_MODULES = {{ {', '.join((*RULES, 'diaries', 'orders'))} }};\n"
    (target / "record_modules.ts").write_text(imports + modules)
    return target


class Shop:
    """The deployment, and what is in it.

    :ivar direct: an adapter of the application's own.
    """

    def __init__(self, deployment: ConvexDeployment, signer: TokenSigner) -> None:
        self.deployment = deployment
        self.direct = self.adapter()
        self._signer = signer

    def adapter(self, port: int | None = None, **config: Any) -> ConvexAdapter:
        """Another adapter, which comes by ``port``."""
        url = f"http://127.0.0.1:{port or self.deployment.port}"
        usual = {"url": url, "key": self.deployment.deploy_key, "timeout": TIMEOUT, "retry_count": 0}
        return ConvexAdapter({**usual, **config}, SCHEMA)

    def user(self, subject: str, role: str = "user", permissions: Sequence[str] = ()) -> Identity:
        """Somebody with a token."""
        granted = {"role": role, "permissions": list(permissions)}
        claims = {"sub": subject, "iss": self._signer.provider.issuer, "app_metadata": granted}
        return Identity(subject, "authenticated", claims, self._signer.token(subject, app_metadata=granted))

    def orders(self) -> list[tuple[str, int]]:
        """What is ordered, and how much of it."""
        rows = self.direct.table("orders").order("item").execute().rows
        return [(row["item"], row["amount"]) for row in rows]

    def entries(self) -> list[str]:
        return sorted(row["text"] for row in self.direct.table("entries").execute().rows)

    def commits(self) -> int:
        """How many commits have come to the deployment."""
        return self.deployment.requests().functions.get("isthmus:commit", 0)
