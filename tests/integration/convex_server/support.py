"""A plain HTTP client for the tests of the deployment."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx

from tests.servers.convex_deployment import ConvexDeployment

ENCODED = "convex_encoded_json"


def deploy_key(deployment: ConvexDeployment, identity: dict[str, Any] | None = None) -> str:
    """The ``Authorization`` of the deploy key, acting as a user if an identity is given."""
    acting_as = "" if identity is None else f":{base64.b64encode(json.dumps(identity).encode()).decode()}"
    return f"Convex {deployment.deploy_key}{acting_as}"


class Caller:
    """Calls functions of a deployment."""

    def __init__(self, deployment: ConvexDeployment, http: httpx.Client) -> None:
        self.deployment = deployment
        self.http = http

    def send(self, kind: str, path: str, authorization: str | None = None, **body: Any) -> httpx.Response:
        """Call a function; ``body`` is added to the path and empty arguments."""
        headers = {"Authorization": authorization} if authorization else {}
        return self.http.post(f"/api/{kind}", json={"path": path, "args": {}, **body}, headers=headers)

    def outcome(self, kind: str, path: str, authorization: str | None = None, **args: Any) -> dict[str, Any]:
        """The answer to a call, which must have been carried out, be it with an error."""
        response = self.send(kind, path, authorization, args=args, format=ENCODED)
        assert response.status_code == 200, response.text
        outcome: dict[str, Any] = response.json()
        return outcome

    def value(self, kind: str, path: str, authorization: str | None = None, **args: Any) -> Any:
        """What a function returns, which must not fail."""
        outcome = self.outcome(kind, path, authorization, **args)
        assert outcome["status"] == "success", outcome
        return outcome["value"]

    def error(self, kind: str, path: str, authorization: str | None = None, **args: Any) -> str:
        """The message of a function, which must fail."""
        outcome = self.outcome(kind, path, authorization, **args)
        assert outcome["status"] == "error", outcome
        return str(outcome["errorMessage"])

    def notes(self) -> list[str]:
        """The texts of all notes, in the order in which they were added."""
        texts: list[str] = self.value("query", "notes:list")
        return texts
