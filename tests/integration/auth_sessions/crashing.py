"""A process of the application that is killed when it has exchanged a refresh token, before it answers."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from app import create_app


def main() -> None:
    app = create_app()
    answer = app.wsgi_app

    def killed(environ: Any, start_response: Any) -> Any:
        answer(environ, start_response)
        os.kill(os.getpid(), signal.SIGKILL)

    app.wsgi_app = killed  # type: ignore[method-assign]
    app.test_client().post("/auth/refresh", json={"refresh_token": sys.stdin.read()})


if __name__ == "__main__":
    main()
