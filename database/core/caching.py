"""Caches that are limited in bytes, because callers decide how large the entries become."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Hashable
from functools import wraps
from threading import Lock
from typing import Generic
from typing import ParamSpec
from typing import TypeVar

from database.core.lifecycle import rebuild_after_fork

Value = TypeVar("Value")
P = ParamSpec("P")

_LARGEST_SHARE = 16


class ByteCache(Generic[Value]):
    """A cache limited in bytes. Entries that were not used since they were stored are evicted first.

    :param most: bytes that keys and values may take together. An entry larger than a sixteenth of it is not kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[Hashable, _Entry[Value]] = {}
        self._create_runtime_state()
        rebuild_after_fork(self, ByteCache._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child; a sum that was being changed is made again."""
        self._bytes = sum(entry.size for entry in self._entries.values())
        self._lock = Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        # Moving it to the end would hash the key again, which for a long query takes longer than the whole look-up.
        entry.used = True
        return entry.value

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Store a value.

        :param size: bytes that key and value take together.
        """
        if size > self._most // _LARGEST_SHARE:
            return
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = _Entry(value, size)
            self._bytes += size
            while self._bytes > self._most:
                self._evict_one()

    @property
    def bytes(self) -> int:
        """Bytes in use."""
        return self._bytes

    def _evict_one(self) -> None:
        key = next(iter(self._entries))
        entry = self._entries.pop(key)
        if entry.used:
            entry.used = False
            self._entries[key] = entry
        else:
            self._bytes -= entry.size


class _Entry(Generic[Value]):
    __slots__ = ("size", "used", "value")

    def __init__(self, value: Value, size: int) -> None:
        self.value = value
        self.size = size
        self.used = False


def remembered(most: int, weigh: Callable[..., int]) -> Callable[[Callable[P, Value]], Callable[P, Value]]:
    """Cache a function's results by its positional arguments; None is not cached.

    :param most: bytes, as for :class:`ByteCache`.
    :param weigh: takes the function's arguments and returns the bytes that they and the result take.
    """

    def remembering(function: Callable[P, Value]) -> Callable[P, Value]:
        cache: ByteCache[Value] = ByteCache(most)

        @wraps(function)
        def remembered_function(*args: P.args, **kwargs: P.kwargs) -> Value:
            value = cache.get(args)
            if value is None:
                value = function(*args, **kwargs)
                cache.put(args, value, weigh(*args, **kwargs))
            return value

        return remembered_function

    return remembering


def footprint(value: object) -> int:
    """Return about how many bytes a value takes, including the contents of nested tuples."""
    size = sys.getsizeof(value)
    return size + sum(map(footprint, value)) if isinstance(value, tuple) else size
