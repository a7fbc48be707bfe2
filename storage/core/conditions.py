"""Filters of a query: paths into an entry's metadata or value, each with the value that must be there.

``{"metadata.event_type": "login", "data.user.id": 7}`` finds the entries in which both hold. The first part of a path
is ``metadata``, ``data`` or ``key``; another one is a path into the value. A list contains a value, too:
``{"metadata.tags": "draft"}`` finds ``["draft", "new"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

from storage.core.errors import StorageKeyError
from storage.core.errors import shown

MAX_FILTERS: Final = 32
_MAX_PATH: Final = 1_000
_MISSING: Final = object()


def check_filters(filters: object) -> None:
    """Refuse what is no filter. :raises StorageKeyError: names the path."""
    if not isinstance(filters, Mapping) or len(filters) > MAX_FILTERS:
        raise StorageKeyError(f"filters must be a mapping of at most {MAX_FILTERS} paths to values")
    for path in filters:
        if not isinstance(path, str) or not 0 < len(path) <= _MAX_PATH:
            raise StorageKeyError(f"a filter must name a path such as 'metadata.category', not {shown(path)}")


def without_value(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters on metadata and keys, for which no value must be read."""
    return {path: wanted for path, wanted in filters.items() if not needs_value({path: wanted})}


def needs_value(filters: Mapping[str, Any]) -> bool:
    """Whether the value of an entry must be read to apply the filters."""
    return any(path.partition(".")[0] not in {"metadata", "key"} for path in filters)


def matches(filters: Mapping[str, Any], key: str, metadata: Mapping[str, Any], value: Any) -> bool:
    """Whether all filters hold. ``value`` is not looked at unless :func:`needs_value`."""
    entry = {"key": key, "metadata": metadata, "data": value}
    return all(_holds(_at(entry, value, path), wanted) for path, wanted in filters.items())


def _at(entry: Mapping[str, Any], value: Any, path: str) -> Any:
    first, *rest = path.split(".")
    # Also without a prefix: the value's own fields.
    return _follow(entry[first], rest) if first in entry else _follow(value, [first, *rest])


def _follow(found: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(found, Mapping) or part not in found:
            return _MISSING
        found = found[part]
    return found


def _holds(found: Any, wanted: Any) -> bool:
    if _same(found, wanted):
        return True
    return isinstance(found, list) and any(_same(one, wanted) for one in found)


def _same(found: Any, wanted: Any) -> bool:
    # In Python, True equals 1.
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)
