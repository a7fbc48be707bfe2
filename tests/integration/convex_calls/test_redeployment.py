"""The deployment's functions are replaced while the application runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from database.backends.convex import ConvexAdapter
from database.core.errors import SerializationFailure
from tests.integration.convex_calls.support import Shop
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import TokenSigner

TITLE = {"data": {"title": "mine", "owner_id": "ada"}}

OWN = """
import { v } from "convex/values";
import { mutation } from "./_generated/server";
import { createRecord } from "./lib/records";

export const create = mutation({
  args: { data: v.any() },
  handler: async (ctx, { data }) => {
    await createRecord(ctx, "diaries" as never, { ...data, title: "by the function" } as never);
    return null;
  },
});
"""


@pytest.fixture
def redeployable(laid_out: Path, tmp_path: Path, token_signer: TokenSigner) -> Iterator[Shop]:
    """A deployment of a folder of its own."""
    folder = shutil.copytree(laid_out, tmp_path / "functions")
    with available(ConvexDeployment, folder, provider=token_signer.provider) as deployment:
        shop = Shop(deployment, token_signer)
        yield shop
        shop.direct.disconnect()


def redeploy(shop: Shop) -> None:
    """Replace a function that was made by ``recordFunctions`` by one of the application's own."""
    (shop.deployment.functions / "diaries.ts").write_text(OWN)
    shop.deployment.stop()
    shop.deployment.start()


def write(adapter: ConvexAdapter) -> None:
    with adapter.transaction():
        adapter.call("diaries:create", TITLE)


def titles(adapter: ConvexAdapter) -> list[str]:
    return [row["title"] for row in adapter.table("diaries").execute().rows]


def test_a_function_that_was_replaced_is_run(redeployable: Shop) -> None:
    """What the adapter has learnt of it is out of date: the commit says so, and nothing is done in its place."""
    adapter = redeployable.adapter(retry_count=2)
    write(adapter)
    assert titles(adapter) == ["mine"]
    redeploy(redeployable)
    with pytest.raises(SerializationFailure, match="diaries:create was redeployed"):
        write(adapter)
    assert titles(adapter) == []
    write(adapter)
    adapter.disconnect()
    assert titles(redeployable.direct) == ["by the function"]


def test_a_deployment_of_an_earlier_version_runs_all_functions(redeployable: Shop) -> None:
    isthmus = redeployable.deployment.functions / "isthmus.ts"
    isthmus.write_text(isthmus.read_text().replace("export const recordFunctions", "const unused"))
    redeployable.deployment.stop()
    redeployable.deployment.start()
    adapter = redeployable.adapter(retry_count=2)
    with adapter.transaction():
        made = adapter.call("diaries:create", TITLE)
        assert titles(adapter) == []
    assert made["title"] == "mine"
    adapter.disconnect()
