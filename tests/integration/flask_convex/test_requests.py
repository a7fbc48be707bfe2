"""A request is one transaction in Convex."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from api.flask_convex import FlaskConvexIntegration
from database.backends.convex import ConvexAdapter
from database.core.context import as_application
from tests.integration.flask_convex.support import bearer
from tests.integration.flask_convex.support import create
from tests.integration.flask_convex.support import names_in
from tests.servers.convex_deployment import ConvexDeployment


def test_a_request_is_committed_as_one(
    client: FlaskClient, token: str, convex_store: ConvexAdapter, empty_deployment: ConvexDeployment
) -> None:
    assert client.post("/both/201", headers=bearer(token)).status_code == 201
    assert empty_deployment.requests().functions["isthmus:commit"] == 1
    assert names_in(convex_store, "molecules") == ["Water"]
    assert names_in(convex_store, "experiments") == ["Water Experiment"]


@pytest.mark.parametrize(("ending", "status"), [("exception", 500), ("422", 422)])
def test_a_failed_request_undoes_everything(
    client: FlaskClient, token: str, convex_store: ConvexAdapter, ending: str, status: int
) -> None:
    assert client.post(f"/both/{ending}", headers=bearer(token)).status_code == status
    assert names_in(convex_store, "molecules") == []
    assert names_in(convex_store, "experiments") == []


def test_a_transaction_in_a_view_joins_the_request(
    client: FlaskClient, token: str, convex_store: ConvexAdapter, empty_deployment: ConvexDeployment
) -> None:
    answer = client.post("/savepoint", headers=bearer(token))
    assert answer.json == ["inside", "outside"]
    assert empty_deployment.requests().functions["isthmus:commit"] == 1
    assert names_in(convex_store, "molecules") == ["inside", "outside"]


def test_a_failed_commit_is_an_error(
    client: FlaskClient, token: str, convex_store: ConvexAdapter, empty_deployment: ConvexDeployment
) -> None:
    empty_deployment.faults.add("drop", path="isthmus:commit", count=None)
    answer = client.post("/both/201", headers=bearer(token))
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    empty_deployment.faults.clear()
    assert names_in(convex_store, "molecules") == []


def test_an_unexpected_error_says_nothing_of_itself(client: FlaskClient, token: str) -> None:
    answer = client.post("/both/exception", headers=bearer(token))
    assert answer.content_type == "application/problem+json"
    assert "LookupError" not in answer.text


def test_a_transaction_outside_of_requests(flask_convex: FlaskConvexIntegration, convex_store: ConvexAdapter) -> None:
    with as_application(), flask_convex.transaction():
        create(flask_convex, "molecules", "Water")
        assert names_in(convex_store, "molecules") == []
    assert names_in(convex_store, "molecules") == ["Water"]


def test_sql_in_a_transaction_begun_by_hand(flask_convex: FlaskConvexIntegration, convex_store: ConvexAdapter) -> None:
    adapter = flask_convex.get_convex_adapter()
    with as_application():
        transaction = adapter.begin_transaction()
        insert = "INSERT INTO molecules (name) VALUES (?)"
        assert flask_convex._execute_query_in_transaction(transaction, insert, ["Water"]) == 1
    assert names_in(convex_store, "molecules") == []
    adapter.commit_transaction(transaction)
    assert names_in(convex_store, "molecules") == ["Water"]
