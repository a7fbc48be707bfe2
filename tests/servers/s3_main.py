"""The program that serves S3's protocol: ``python s3_main.py PORT``.

One request at a time: moto compares the tag of an object and replaces the object in two steps, between which another
request could replace it, too. S3 does both at once. The conditions for an object of several parts, which moto does not
know, are checked here. What was read of an object stays in memory: moto reads all of it for each range. And it sorts
all objects three times for each page of their names, which would be most of a test with many.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterable
from threading import Lock
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import FakeBucket
from moto.s3.models import FakeKey
from moto.s3.models import S3Backend
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import run_simple

_application = create_backend_app("s3")
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


def _page(
    self: Any,
    bucket: FakeBucket,
    prefix: str | None,
    delimiter: str | None,
    continuation_token: str | None,
    start_after: str | None,
    max_keys: int,
) -> Any:
    if delimiter or not max_keys:
        return _list(self, bucket, prefix, delimiter, continuation_token, start_after, max_keys)
    names = sorted(name for name in bucket.keys if name.startswith(prefix or ""))
    behind = self._pagination_tokens[continuation_token] if continuation_token else start_after
    first = bisect_right(names, behind) if behind else 0
    return self._truncate_result([bucket.keys[name] for name in names[first : first + max_keys + 1]], max_keys)


_list: Any = S3Backend.list_objects_v2
S3Backend.list_objects_v2 = _page  # type: ignore[method-assign]


class Connection(WSGIRequestHandler):
    """A connection that stays open for further requests, as those to S3 do, and is not logged."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # as in the base class
        pass


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True, request_handler=Connection)
