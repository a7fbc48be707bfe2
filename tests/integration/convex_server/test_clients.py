"""The official Python client against the deployment."""

from __future__ import annotations

from typing import Any

import pytest
from convex import ConvexError
from convex import ConvexInt64
from convex.http_client import ConvexHttpClient

from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.tokens import TokenSigner


@pytest.fixture
def client(deployment: ConvexDeployment) -> ConvexHttpClient:
    return ConvexHttpClient(deployment.url)


def test_values_come_back_as_they_were_sent(client: ConvexHttpClient) -> None:
    value: Any = {"a": [1.0, -0.5, True, None, "é😀"], "b": ConvexInt64(2**62), "c": b"\x00\xff"}
    assert client.query("deep/probe:echo", {"value": value}) == value


def test_a_mutation_a_query_and_an_action(client: ConvexHttpClient) -> None:
    client.mutation("notes:add", {"text": "first"})
    client.action("notes:addThroughAction", {"text": "second"})
    assert client.query("notes:list") == ["first", "second"]
    assert client.query("notes:find", {"text": "first"})["count"] == ConvexInt64(7)


def test_an_error_carries_its_data(client: ConvexHttpClient) -> None:
    data: Any = {"code": "NO", "step": 1.5}
    with pytest.raises(ConvexError) as caught:
        client.mutation("notes:addAndFail", {"data": data})
    assert caught.value.data == data


def test_a_token_and_a_deploy_key(
    client: ConvexHttpClient, deployment: ConvexDeployment, token_signer: TokenSigner
) -> None:
    client.set_auth(token_signer.token("someone"))
    assert client.query("deep/probe:viewer")["before"]["subject"] == "someone"
    client.set_admin_auth(deployment.deploy_key)
    client.mutation("notes:addInternally", {"text": "by the key"})
    assert client.query("notes:list") == ["by the key"]
