"""The program that serves S3's protocol: ``python s3_main.py PORT``.

One request at a time: moto compares the tag of an object and replaces the object in two steps, between which another
request could replace it, too. S3 does both at once. The conditions for an object of several parts, which moto does not
know, are checked here. What was read of an object stays in memory: moto reads all of it for each range.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterable
from threading import Lock
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import FakeKey
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

_application = DomainDispatcherApplication(create_backend_app)
_lock = Lock()


def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    with _lock:
        if _is_completion(environ) and not _holds(environ):
            start_response("412 Precondition Failed", [("Content-Type", "application/xml")])
            return [b"<Error><Code>PreconditionFailed</Code><Message>A condition does not hold</Message></Error>"]
        return [b"".join(_application(environ, start_response))]


def _is_completion(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and "uploadId=" in environ["QUERY_STRING"]


def _holds(environ: dict[str, Any]) -> bool:
    _, bucket, name = environ["PATH_INFO"].split("/", 2)
    present = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, name)
    if environ.get("HTTP_IF_NONE_MATCH") == "*":
        return present is None
    expected = environ.get("HTTP_IF_MATCH")
    return expected is None or (present is not None and present.etag == expected)


def _read_once(key: Any) -> bytes:
    read: bytes | None = vars(key).get("read_already")
    if read is None:
        read = key.read_already = _moto.fget(key)
    return read


def _write(key: Any, value: bytes) -> None:
    key.read_already = None
    _moto.fset(key, value)


_moto: Any = FakeKey.value
FakeKey.value = property(_read_once, _write)  # type: ignore[assignment]

if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
