"""A plain Flask app with views that use Convex."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask import g
from flask import jsonify
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from api.flask_convex import FlaskConvexIntegration
from database.backends.convex import ConvexAdapter

Config = dict[str, Any]


def add_views(app: Flask, flask_convex: FlaskConvexIntegration) -> None:
    """Views of one app, which take the adapter from the integration at every request."""

    def viewer() -> ResponseReturnValue:
        """Who asks, as Convex sees it."""
        return jsonify(flask_convex.execute_query("api.users.viewer"))

    def caller() -> ResponseReturnValue:
        """Who asks, as Flask sees it."""
        return jsonify(id=g.user_id, data=g.user_data, identity=g.convex_identity, token=g.convex_token)

    def both(ending: str) -> ResponseReturnValue:
        """Two records, and then an end of the given kind."""
        create(flask_convex, "molecules", "Water")
        create(flask_convex, "experiments", "Water Experiment")
        if ending == "exception":
            raise LookupError
        return {}, int(ending)

    def savepoint() -> ResponseReturnValue:
        """One record that stays, one of a transaction that fails, one of a transaction that does not."""
        create(flask_convex, "molecules", "outside")
        try:
            with flask_convex.transaction():
                create(flask_convex, "molecules", "undone")
                raise LookupError
        except LookupError:
            pass
        with flask_convex.transaction():
            create(flask_convex, "molecules", "inside")
        return jsonify([row["name"] for row in flask_convex.table("molecules").order("name").execute()])

    app.add_url_rule("/viewer", view_func=viewer)
    app.add_url_rule("/caller", view_func=caller)
    app.add_url_rule("/both/<ending>", view_func=both, methods=["POST"])
    app.add_url_rule("/savepoint", view_func=savepoint, methods=["POST"])


def create(flask_convex: FlaskConvexIntegration, table: str, name: str) -> None:
    """Make a record in the manner of the document: with the plain adapter."""
    flask_convex.get_convex_adapter().execute_query(f"api.{table}.create", {"data": {"name": name}})


def get(client: FlaskClient, path: str, token: str | None = None) -> Any:
    """The JSON that is answered to a caller with that token."""
    answer = client.get(path, headers=bearer(token) if token else {})
    assert answer.status_code == 200, answer.text
    return answer.json


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def names_in(store: ConvexAdapter, table: str) -> list[str]:
    return [row["name"] for row in store.table(table).select("name").order("name").execute()]
