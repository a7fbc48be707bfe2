"""What callers give, checked: an error names the field and says what is wrong with it."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

import orjson

from database.core.kinds.values import JSON
from database.core.kinds.values import check_text
from storage.core.documents import to_json
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.errors import shown
from storage.core.keys import check_key
from storage.core.keys import without_nul
from stores.evaluations.meaning.statuses import check_status
from stores.evaluations.meaning.values import EvaluationFilters
from stores.evaluations.meaning.values import OutputKind

MAX_ID: Final = 255
"""The longest id in characters, of which NUL and U+0001 count twice."""

MAX_NAME: Final = 64
MAX_MESSAGE: Final = 64 << 10
MAX_METADATA: Final = 64 << 10
"""In bytes of UTF-8."""

MAX_SEARCHED: Final = 400
MAX_PAGE: Final = 1_000


def checked_id(id: object) -> str:
    """``id``, if an evaluation may have it. :raises StorageKeyError: if not."""
    if not isinstance(id, str) or not id or len(without_nul(id)) > MAX_ID:
        raise StorageKeyError(f"id must be text of 1 to {MAX_ID} characters, not {shown(id)}")
    return check_key(id)


def checked_text(field: str, value: object, most: int = MAX_NAME, *, least: int = 1) -> str:
    """``value``, if it is text that every place stores. :raises StorageKeyError: if not."""
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise StorageKeyError(f"{field} must be text of {least} to {most:,} characters, not {shown(value)}")
    try:
        check_text(value)
    except ValueError as error:
        raise StorageKeyError(f"{field} {error}") from None
    return value


def log_parts(text: object) -> Iterator[str]:
    """Text of any length as messages. :raises StorageKeyError: if it is no text that every place stores."""
    checked = checked_text("text", text, sys.maxsize, least=0)
    yield from (checked[start : start + MAX_MESSAGE] for start in range(0, len(checked), MAX_MESSAGE))


def checked_kind(kind: object) -> OutputKind:
    """``kind``, if it is one of outputs. :raises StorageKeyError: names them."""
    if kind == "output" or kind == "error":  # noqa: PLR1714  # type checkers know these
        return kind
    raise StorageKeyError(f"kind must be output or error, not {shown(kind)}")


def checked_body(field: str, value: object) -> bytes:
    """The bytes of a code or an output. :raises StorageSerializationError: if it is neither text nor bytes."""
    if isinstance(value, bytes | bytearray | memoryview) and field != "code":
        return bytes(value)
    if not isinstance(value, str):
        may = "text" if field == "code" else "text or bytes"
        raise StorageSerializationError(f"{field} must be {may}, not {type(value).__name__}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise StorageSerializationError(f"{field} must not contain lone surrogates") from None


def stored_metadata(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Metadata as JSON that keeps the types of values.

    :raises StorageSerializationError: if it is no JSON object.
    :raises StorageCapacityError: if it is too large.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise StorageSerializationError(f"metadata must be an object, not {type(given).__name__}")
    stored = {_checked_name(name): _stored(name, value) for name, value in given.items()}
    check_metadata_size(stored)
    try:
        JSON.check(stored)
    except ValueError as error:
        raise StorageSerializationError(f"metadata {error}") from None
    return stored


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise StorageSerializationError(f"metadata has a key of type {type(name).__name__}, and keys must be text")
    return name


def _stored(name: object, value: object) -> Any:
    """A member of metadata: each for itself, so that members can be found and replaced."""
    try:
        return orjson.loads(to_json(value))
    except StorageSerializationError as error:
        raise StorageSerializationError(f"metadata {shown(name)}: {error}") from error


def check_metadata_size(stored: Mapping[str, Any]) -> None:
    """Refuse metadata that is too large. :raises StorageCapacityError: says how large it may be."""
    if (size := len(orjson.dumps(stored))) > MAX_METADATA:
        raise StorageCapacityError(f"metadata has {size:,} bytes of JSON, and may have {MAX_METADATA:,}")


def checked_number(value: object) -> float:
    """The value of a metric. :raises StorageKeyError: if it is no finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise StorageKeyError(f"value must be a finite number, not {shown(value)}")


def checked_limit(limit: object) -> int:
    """The size of a page. :raises StorageKeyError: if it is none."""
    if isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= MAX_PAGE:
        return limit
    raise StorageKeyError(f"limit must be an integer from 1 to {MAX_PAGE:,}, not {shown(limit)}")


def checked_filters(
    status: str | Collection[str] | None = None,
    text: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> EvaluationFilters:
    """The filters of a listing. :raises StorageKeyError: names the one that is wrong."""
    statuses = [status] if isinstance(status, str) else status
    return EvaluationFilters(
        None if statuses is None else [check_status(one) for one in statuses],
        None if text is None else checked_text("text", text, MAX_SEARCHED, least=0),
        _checked_time("since", since),
        _checked_time("until", until),
        stored_metadata(metadata) if metadata else None,
    )


def _checked_time(field: str, value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise StorageKeyError(f"{field} must be a time with a time zone, not {shown(value)}")
    return value.astimezone(UTC)
