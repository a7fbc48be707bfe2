"""Run in a copy: use the application over HTTP on each of the databases that standard input names, as JSON settings."""

from __future__ import annotations

import json
import sys
from typing import Any

from argon2 import PasswordHasher
from flask import Flask

from api.operations import auto_migration
from app import create_app
from config.settings import load_settings
from database.connection_manager import ConnectionManager

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def use(app: Flask) -> None:
    """Make, read, change, pay for and delete orders as several callers."""
    client = app.test_client()

    def call(method: str, path: str, who: str | None = None, body: Any = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        answer = client.open(path, method=method, json=body, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json

    def sign_up(name: str, role: str | None = None) -> str:
        account = {"email": f"{name}@example.org", "password": "correct horse battery staple"}
        call("POST", "/auth/register", body=account, status=201)
        if role is not None:
            app.test_cli_runner().invoke(args=["auth", "grant", account["email"], role])
        token: str = call("POST", "/auth/login", body=account)["access_token"]
        return token

    ada, bob, staff = sign_up("ada"), sign_up("bob"), sign_up("chief", "staff")
    call("POST", "/api/orders", body={"item": "Tea"}, status=401)
    call("POST", "/api/orders", ada, {"item": "Tea", "units": "many"}, 422)
    order = call("POST", "/api/orders", ada, {"item": "Tea"}, 201)
    place = f"/api/orders/{order['id']}"
    assert (order["units"], order["paid_at"]) == (1, None)
    assert call("GET", place, ada) == order
    assert [len(call("GET", "/api/orders?item=eq.Tea", who)["data"]) for who in (ada, bob, staff)] == [1, 0, 1]
    assert call("PATCH", place, ada, {"units": 2})["units"] == 2
    assert call("PUT", place, ada, {"item": "Coffee", "units": 3})["item"] == "Coffee"
    call("PATCH", place, bob, {"units": 9}, 404)
    assert call("POST", f"/shop/orders/{order['id']}/payment", ada)["currency"] == "EUR"
    call("POST", f"/shop/orders/{order['id']}/payment", ada, status=409)
    assert "1 unpaid" not in app.test_cli_runner().invoke(args=["unpaid"]).output
    call("DELETE", place, ada, status=204)
    call("GET", place, ada, status=404)
    for table in ("molecules", "notes"):
        call("GET", f"/api/{table}", ada, status=404)


def main() -> None:
    for settings in json.load(sys.stdin):
        app = create_app(load_settings(None, ENVIRONMENT="testing", **settings), password_hasher=CHEAP)
        auto_migration.start(app)
        use(app)
        app.extensions["isthmus"].manager.disconnect()
        ConnectionManager.set_instance(None)
        sys.stdout.write(f"{settings['DB_ADAPTER_ORDER']}\n")


if __name__ == "__main__":
    main()
