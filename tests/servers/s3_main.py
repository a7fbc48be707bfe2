"""The program that serves S3's protocol: ``python s3_main.py PORT``.

One request at a time: moto compares the tag of an object and replaces the object in two steps, between which another
request could replace it, too. S3 does both at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterable
from threading import Lock
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import run_simple

_application = DomainDispatcherApplication(create_backend_app)
_lock = Lock()


def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    with _lock:
        return [b"".join(_application(environ, start_response))]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
