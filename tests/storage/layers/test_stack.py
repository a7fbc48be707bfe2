"""All layers together are still a dictionary, through outages of the store, of a copy and of the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.core.operations import Operation
from storage import Cache
from storage import Compression
from storage import Encryption
from storage import Fallback
from storage import Keys
from storage import Mirrors
from storage import SizeTier
from storage import StorageConflictError
from storage import StorageConnectionError
from tests.clocks import WallClock
from tests.storage.contract.places import lasting
from tests.storage.layers.faulty import EXAMPLES
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over

KEYS = ["a", "ab", "b"]
VALUES = st.sampled_from([0, None, b"", "small", "x" * 300, b"y" * 300, {"z": ["z" * 50] * 9}])
VERBS = st.sampled_from(
    ["put", "put", "new", "same", "batch", "delete", "clear", "expire", "sweep", "down", "down", "up", "repair"]
)
STEPS = st.lists(st.tuples(VERBS, st.sampled_from(KEYS), VALUES), max_size=30)


class Stack:
    """A store with all layers, and what it should have."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.source, self.kept, self.copy = Faulty(), Faulty(), Faulty()
        self.mirrors = Mirrors({"copy": over(self.copy)}, lasting(), patience=0)
        layers = [
            Cache(over(self.kept), clock=self.clock),
            SizeTier(lasting(), 100, grace=0),
            Compression(threshold=8),
            Encryption(Keys({"a": b"k" * 32}, "a")),
            Fallback(lasting()),
            self.mirrors,
        ]
        self.store = over(self.source, *layers, clock=self.clock)
        self.model: dict[str, Any] = {}
        self.etags: dict[str, str] = {}

    def put(self, key: str, value: Any, **options: Any) -> None:
        put = acknowledged(lambda: self.store.put(key, value, **options))
        if put is not None:
            assert not options or (key in self.model) is ("expected" in options)
            self.model[key], self.etags[key] = value, put.etag

    def new(self, key: str, value: Any) -> None:
        self.put(key, value, if_absent=True)

    def same(self, key: str, value: Any) -> None:
        self.put(key, value, expected=self.etags.get(key, "none"))

    def batch(self, key: str, value: Any) -> None:
        if acknowledged(lambda: self.store.put_many({"a": value, key: value})) is not None:
            self.model |= {"a": value, key: value}

    def delete(self, key: str, _: Any) -> None:
        found = acknowledged(lambda: self.store.delete(key))
        assert found in {key in self.model, None}
        if found is not None:
            self.model.pop(key, None)

    def clear(self, key: str, _: Any) -> None:
        if acknowledged(lambda: self.store.clear(key)) is not None:
            self.model = {name: kept for name, kept in self.model.items() if not name.startswith(key)}

    def expire(self, key: str, value: Any) -> None:
        if acknowledged(lambda: self.store.put(key, value, ttl=1)) is not None:
            self.model.pop(key, None)
        self.clock.advance(1)

    def sweep(self, _: str, __: Any) -> None:
        acknowledged(self.store.sweep)

    def repair(self, _: str, __: Any) -> None:
        acknowledged(self.mirrors.repair)

    def down(self, key: str, _: Any) -> None:
        place = {"a": self.source, "ab": self.copy, "b": self.kept}[key]
        place.before = _out_of_reach

    def up(self, *_: Any) -> None:
        for place in (self.source, self.copy, self.kept):
            place.heal()

    def check(self) -> None:
        """What can be read is right."""
        for key in KEYS:
            try:
                assert self.store.get(key, "missing") == self.model.get(key, "missing")
            except StorageConnectionError:
                continue


@settings(max_examples=EXAMPLES, deadline=None)
@given(STEPS)
def test_all_layers_together_are_a_dictionary(steps: list[tuple[str, str, Any]]) -> None:
    stack = Stack()
    for verb, key, value in steps:
        getattr(stack, verb)(key, value)
        stack.check()
    stack.up()
    assert {entry.key: entry.value for entry in stack.store.find({})} == stack.model
    assert stack.mirrors.repair().left == 0
    stack.store.sweep()
    assert stack.mirrors.verify_integrity(bodies=True).wrong == set()
    assert {entry.key: entry.value for entry in stack.store.find({})} == stack.model


def acknowledged(call: Callable[[], Any]) -> Any:
    """What a call returns; None if it was refused."""
    try:
        return call()
    except (StorageConnectionError, StorageConflictError):
        return None


def _out_of_reach(_: Operation) -> None:
    raise StorageConnectionError("it is out of reach")
