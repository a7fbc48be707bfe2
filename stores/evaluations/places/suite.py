"""The common tests of all ``StorageService``, for :mod:`unittest` and pytest.

>>> class RedisStorageTests(StorageServiceSuite):  # doctest: +SKIP
...     def make(self):
...         return RedisStorage("redis://127.0.0.1:6379/15")
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import SkipTest
from unittest import TestCase

from stores.evaluations.places.service import StorageService

_IDS = ("../escaped", "a/b", "a_b", "a:b", "a", "A", "é", "'; drop table evaluations; --", "%", "x" * 200)


class StorageServiceSuite(TestCase):
    """What every place must do. Subclass it, and let :meth:`make` return an empty place."""

    def make(self) -> StorageService:
        """An empty place."""
        raise SkipTest("a subclass makes the place")

    def setUp(self) -> None:
        self.storage = self.make()

    def test_an_evaluation_comes_back(self) -> None:
        """With all that was stored, also unicode and nested values, and nothing is shared."""
        data: dict[str, Any] = {"id": "e1", "code": "print('é')", "status": "queued", "custom": {"n": [1, None, True]}}
        assert self.storage.store_evaluation("e1", data)
        found = self.storage.retrieve_evaluation("e1") or {}
        assert {name: found.get(name) for name in data} == data
        found["custom"]["n"].append("changed")
        assert (self.storage.retrieve_evaluation("e1") or {})["custom"] == {"n": [1, None, True]}

    def test_it_is_replaced(self) -> None:
        """The later one counts."""
        self.storage.store_evaluation("e1", {"id": "e1", "code": "1", "status": "queued", "custom": 1})
        self.storage.store_evaluation("e1", {"id": "e1", "code": "1", "status": "running", "custom": 2, "output": ""})
        found = self.storage.retrieve_evaluation("e1") or {}
        assert (found["status"], found["custom"], found["output"]) == ("running", 2, "")

    def test_what_is_not_there(self) -> None:
        """Is None, or nothing, and is no error."""
        assert self.storage.retrieve_evaluation("unknown") is None
        assert self.storage.retrieve_metadata("unknown") is None
        assert self.storage.retrieve_events("unknown") == []
        assert not self.storage.delete_evaluation("unknown")
        assert self.storage.list_evaluations() == []

    def test_events_keep_their_order(self) -> None:
        """And their members."""
        self.storage.store_evaluation("e1", {"id": "e1", "code": "1", "status": "queued"})
        events = [{"type": "log", "message": str(number), "n": number} for number in range(5)]
        assert self.storage.store_events("e1", events)
        found = [event for event in self.storage.retrieve_events("e1") if event["type"] == "log"]
        assert [{name: event[name] for name in ("type", "message", "n")} for event in found] == events

    def test_metadata_leaves_the_rest(self) -> None:
        """Of the evaluation as it is."""
        self.storage.store_evaluation("e1", {"id": "e1", "code": "1", "status": "queued"})
        assert self.storage.store_metadata("e1", {"tags": ["a"]})
        assert (self.storage.retrieve_metadata("e1") or {})["tags"] == ["a"]
        assert (self.storage.retrieve_evaluation("e1") or {})["code"] == "1"

    def test_any_text_is_an_id(self) -> None:
        """Two texts are two ids."""
        for number, id_ in enumerate(_IDS):
            self.storage.store_evaluation(id_, {"id": id_, "code": str(number), "status": "queued"})
        found = [self.storage.retrieve_evaluation(id_) or {} for id_ in _IDS]
        assert [one["code"] for one in found] == [str(number) for number in range(len(_IDS))]
        assert sorted(self.storage.list_evaluations()) == sorted(_IDS)

    def test_pages_have_every_id_once(self) -> None:
        """In any order."""
        for number in range(7):
            self.storage.store_evaluation(f"e{number}", {"id": f"e{number}", "code": "1", "status": "queued"})
        pages = [self.storage.list_evaluations(limit=3, offset=offset) for offset in (0, 3, 6, 9)]
        assert [len(page) for page in pages] == [3, 3, 1, 0]
        assert len({id_ for page in pages for id_ in page}) == 7

    def test_a_deletion_takes_everything_along(self) -> None:
        """Events and metadata, too."""
        self.storage.store_evaluation("e1", {"id": "e1", "code": "1", "status": "queued"})
        self.storage.store_events("e1", [{"type": "log", "message": "1"}])
        self.storage.store_metadata("e1", {"tags": ["a"]})
        assert self.storage.delete_evaluation("e1")
        assert self.storage.retrieve_evaluation("e1") is None
        assert self.storage.retrieve_events("e1") == []

    def test_threads_do_not_disturb_each_other(self) -> None:
        """Each has its own evaluations."""

        def store(number: int) -> None:
            self.storage.store_evaluation(f"e{number}", {"id": f"e{number}", "code": str(number), "status": "queued"})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store, range(12)))
        found = [(self.storage.retrieve_evaluation(f"e{number}") or {}).get("code") for number in range(12)]
        assert found == [str(number) for number in range(12)]
