"""The deployment's functions: their paths and kinds, and which of them a transaction can execute as operations."""

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
"""The system query that lists a deployment's functions; Convex's own command line uses it, too."""

RECORD_FUNCTIONS = "isthmus:recordFunctions"
"""The query that lists the functions made by ``recordFunctions`` in ``lib/record_functions.ts``."""

_PATH = re.compile(r"[A-Za-z]\w*(?:/[A-Za-z]\w*)*:[A-Za-z]\w*", re.ASCII)
_REFRESH = 60.0
"""Seconds until the list is fetched again for an unknown function, which may have been deployed meanwhile."""


def function_path(name: str) -> str:
    """A function's path, such as ``molecules:list``; ``api.molecules.list`` is accepted, too.

    :raises InvalidQuery: for a name that no function can have.
    """
    path = name
    if ":" not in name:
        folder, _, function = name.removeprefix("api.").removeprefix("internal.").rpartition(".")
        path = f"{folder.replace('.', '/')}:{function}"
    if not _PATH.fullmatch(path):
        raise InvalidQuery("invalid name of a Convex function; use the form api.molecules.list or molecules:list")
    return path


class RecordFunction(NamedTuple):
    """A function that performs a single operation on one table, as described by the deployment.

    :ivar columns: the columns that a caller may set.
    """

    table: str
    verb: Verb
    columns: tuple[str, ...]


class FunctionListing(NamedTuple):
    """A deployment's list of its functions.

    :ivar spec: all functions, as :data:`API_SPEC` returns them.
    :ivar records: path and description of each record function, as :data:`RECORD_FUNCTIONS` returns them.
    """

    spec: Iterable[Mapping[str, Any]]
    records: Iterable[tuple[str, Mapping[str, Any]]]


class DeployedFunctions:
    """Kinds of functions by path, as declared or as listed by the deployment.

    :param declared: path to kind; never looked up in the deployment, and never treated as record functions.
    """

    def __init__(self, declared: Mapping[str, Kind], clock: Clock = monotonic) -> None:
        self._declared = {function_path(name): kind for name, kind in declared.items()}
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Clear the cached list, because functions were redeployed; the next look-up fetches it again."""
        self._learnt: dict[str, Kind] = {}
        self._records: dict[str, RecordFunction] = {}
        self._internal: set[str] = set()
        self._asked: float | None = None

    def known(self, path: str) -> Kind | None:
        """The function's kind; None if it is neither declared nor cached."""
        return self._declared.get(path) or self._learnt.get(path)

    def internal(self, path: str) -> bool:
        """Whether the function is internal: callable only by the deployment itself and with the deploy key."""
        return path in self._internal

    def record(self, path: str) -> RecordFunction | None:
        """The operation that the function performs, if it is a record function."""
        return None if path in self._declared else self._records.get(path)

    def kind(self, path: str, ask: Callable[[], FunctionListing]) -> Kind | None:
        """The function's kind; None if the deployment has no such function.

        :param ask: fetches the deployment's list; called for an unknown path, at most once a minute.
        """
        if known := self.known(path):
            return known
        # No lock: a caller waiting for another's request could not keep its own deadline.
        if self._asked is None or self._clock() >= self._asked + _REFRESH:
            listing = ask()
            self._learnt = dict(_kinds(listing.spec))
            self._internal = {path for path, function in _paths(listing.spec) if _is_internal(function)}
            self._records = {name: _record(description) for name, description in listing.records}
            self._asked = self._clock()
        return self._learnt.get(path)


def lists_records(spec: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the deployment has the query :data:`RECORD_FUNCTIONS`, which earlier versions lack."""
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
