"""Caches that are limited in bytes, for what callers' queries make."""

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
    """Values by key, of which those that were not asked for again go first when all take too much room.

    :param most: bytes that keys and values may take; what alone would take a sixteenth of it is not kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[Hashable, _Entry[Value]] = {}
        self._build()
        rebuild_after_fork(self, ByteCache._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child; a sum that was being changed is made again."""
        self._bytes = sum(entry.size for entry in self._entries.values())
        self._lock = Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        # Moving it to the end would mean to hash the key again, which for a long query takes longer than this all.
        entry.used = True
        return entry.value

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep a value.

        :param size: bytes that key and value take.
        """
        if size > self._most // _LARGEST_SHARE:
            return
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = _Entry(value, size)
            self._bytes += size
            while self._bytes > self._most:
                self._let_go_of_one()

    @property
    def bytes(self) -> int:
        """Bytes that are taken now."""
        return self._bytes

    def _let_go_of_one(self) -> None:
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
    """Have a function's results kept, by its positional arguments; None is not kept.

    :param most: bytes, as of :class:`ByteCache`.
    :param weigh: the bytes that the arguments and the result take.
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
    """About how many bytes a value takes, with what nested tuples hold."""
    size = sys.getsizeof(value)
    return size + sum(map(footprint, value)) if isinstance(value, tuple) else size
