"""A small application on Convex, once with Isthmus and once with urllib3, for a production server.

The environment variables ``CONVEX_URL`` and ``CONVEX_DEPLOYMENT_KEY`` set the deployment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from flask import Flask

from benchmarks.contenders.convex_http import FUNCTION
from benchmarks.contenders.convex_http import PooledHttp
from database import ConvexAdapter


def isthmus() -> Flask:
    """The application with the adapter's public interface."""
    adapter = ConvexAdapter({"url": os.environ["CONVEX_URL"], "key": os.environ["CONVEX_DEPLOYMENT_KEY"]})
    return _application(lambda key: adapter.call(FUNCTION, {"id": key}))


def plain() -> Flask:
    """The application with pooled connections and the value codec of the official package."""
    deployment = PooledHttp(os.environ["CONVEX_URL"], os.environ["CONVEX_DEPLOYMENT_KEY"])
    return _application(lambda key: deployment.query(FUNCTION, {"id": key}))


def _application(call: Callable[[str], Any]) -> Flask:
    app = Flask(__name__)

    @app.get("/molecules/<key>")
    def molecule(key: str) -> dict[str, str]:
        found = call(key)
        return {"id": found["id"], "name": found["name"]}

    return app
