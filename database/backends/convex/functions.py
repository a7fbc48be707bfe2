"""The deployment's functions: how they are named, what kind each is, and which a transaction may carry out itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import NamedTuple

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.errors import InvalidQuery

Kind = Literal["query", "mutation", "action"]
Verb = Literal["list", "get", "create", "update", "remove"]

API_SPEC = "_system/cli/modules:apiSpec"
"""The system query that lists a deployment's functions, which Convex's own command line asks, too."""

RECORD_FUNCTIONS = "isthmus:recordFunctions"
"""The query that lists those functions that are made by ``recordFunctions`` of ``lib/record_functions.ts``."""

_PATH = re.compile(r"[A-Za-z]\w*(?:/[A-Za-z]\w*)*:[A-Za-z]\w*", re.ASCII)
_REFRESH = 60.0
"""Seconds after which an unknown function is asked for again: it may have been deployed meanwhile."""


def function_path(name: str) -> str:
    """A function's path, as in ``molecules:list``; ``api.molecules.list`` is another way to say it.

    :raises InvalidQuery: for a name that no function can have.
    """
    path = name
    if ":" not in name:
        folder, _, function = name.removeprefix("api.").removeprefix("internal.").rpartition(".")
        path = f"{folder.replace('.', '/')}:{function}"
    if not _PATH.fullmatch(path):
        raise InvalidQuery("a Convex function has a name such as api.molecules.list or molecules:list")
    return path


class RecordFunction(NamedTuple):
    """What a function does, as the deployment says: one operation of a table.

    :ivar columns: those that its caller can give.
    """

    table: str
    verb: Verb
    columns: tuple[str, ...]


class FunctionListing(NamedTuple):
    """What a deployment tells of its functions.

    :ivar spec: all of them, as :data:`API_SPEC` has them.
    :ivar records: path and description of each of :data:`RECORD_FUNCTIONS`.
    """

    spec: Iterable[Mapping[str, Any]]
    records: Iterable[tuple[str, Mapping[str, Any]]]


class DeployedFunctions:
    """What is known of the function at each path: declared, or learnt from the deployment.

    :param declared: path to kind; these are never asked for, and none of them is a record function.
    """

    def __init__(self, declared: Mapping[str, Kind], clock: Clock = monotonic) -> None:
        self._declared = {function_path(name): kind for name, kind in declared.items()}
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Ask the deployment anew when next something is to be known: its functions were replaced."""
        self._learnt: dict[str, Kind] = {}
        self._records: dict[str, RecordFunction] = {}
        self._internal: set[str] = set()
        self._asked: float | None = None

    def known(self, path: str) -> Kind | None:
        """The function's kind, as far as it is known without asking."""
        return self._declared.get(path) or self._learnt.get(path)

    def internal(self, path: str) -> bool:
        """Whether the deployment lets only itself and whoever has the deploy key call the function."""
        return path in self._internal

    def record(self, path: str) -> RecordFunction | None:
        """What the function does to a table, if the deployment has said that it does nothing else."""
        return None if path in self._declared else self._records.get(path)

    def kind(self, path: str, ask: Callable[[], FunctionListing]) -> Kind | None:
        """The function's kind; None if the deployment knows no such function.

        :param ask: fetches the deployment's list; called when the path is unknown, unless it was within a minute.
        """
        if known := self.known(path):
            return known
        # Without a lock: whoever waited for another's answer would wait beyond its own deadline.
        if self._asked is None or self._clock() >= self._asked + _REFRESH:
            listing = ask()
            self._learnt = dict(_kinds(listing.spec))
            self._internal = {path for path, function in _paths(listing.spec) if _is_internal(function)}
            self._records = {name: _record(description) for name, description in listing.records}
            self._asked = self._clock()
        return self._learnt.get(path)


def lists_records(spec: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the deployment has the query of :data:`RECORD_FUNCTIONS`; one of an earlier version has not."""
    return any(path == RECORD_FUNCTIONS for path, _ in _paths(spec))


def _record(description: Mapping[str, Any]) -> RecordFunction:
    return RecordFunction(description["table"], description["verb"], tuple(description["columns"]))


def _is_internal(function: Mapping[str, Any]) -> bool:
    visibility = function.get("visibility")
    return isinstance(visibility, Mapping) and visibility.get("kind") == "internal"


def _kinds(spec: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Kind]]:
    kinds: dict[str, Kind] = {"Query": "query", "Mutation": "mutation", "Action": "action"}
    for path, function in _paths(spec):
        kind = kinds.get(str(function.get("functionType")))
        if kind is not None:
            yield path, kind


def _paths(spec: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for function in spec:
        module, _, name = str(function.get("identifier", "")).rpartition(":")
        yield f"{module.removesuffix('.js')}:{name}", function
