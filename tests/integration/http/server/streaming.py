"""The application with views that only tests need, such as streams, for a server process of its own."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from flask import Flask

from api.http.live import Bell
from api.http.live import Message
from api.http.live import News
from api.http.live import live
from api.server import serving
from api.server.arriving import Arrived
from app import create_app
from config.settings import load_settings

PIECE = 1 << 16
ENDLESS = 10_000


def make_app() -> Flask:
    """An application that also has streams, of any length, and tells what it keeps of requests that are over."""
    app = create_app()
    closed: list[str] = []

    def pieces(number: int) -> Iterator[bytes]:
        try:
            for _ in range(number):
                yield b""
                yield b"~" * PIECE
        finally:
            closed.append("closed")

    @app.get("/stream/<int:number>")
    def stream(number: int) -> Any:
        return pieces(number)

    bells: list[Bell] = []

    @app.get("/live")
    def follow() -> Any:
        bell = Bell()
        bells.append(bell)
        return live(lambda: News([Message("news", len(bells))]), bell, nullcontext())

    @app.get("/ring")
    def ring() -> Any:
        for bell in bells:
            bell.ring()
        return {"rung": len(bells)}

    @app.get("/broken")
    def broken() -> Any:
        raise SystemExit

    @app.get("/closed")
    def tell() -> Any:
        return {"closed": len(closed)}

    @app.get("/kept")
    def kept() -> Any:
        gc.collect()
        return {"kept": sum(isinstance(each, Arrived) for each in gc.get_objects())}

    return app


def serve_app() -> serving.AsgiApplication:
    """For a process of the server."""
    settings = load_settings()
    serving.enter_worker()
    return serving.AsgiApplication(make_app(), settings)


if __name__ == "__main__":
    serving.serve("tests.integration.http.server.streaming:serve_app", load_settings())
