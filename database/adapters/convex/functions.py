"""The deployment's functions: how they are named, and which of them are queries, mutations and actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Literal

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.errors import InvalidQuery

Kind = Literal["query", "mutation", "action"]

API_SPEC = "_system/cli/modules:apiSpec"
"""The system query that lists a deployment's functions, which Convex's own command line asks, too."""

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


class FunctionKinds:
    """What kind of function each path is: declared, or learnt from the deployment.

    :param declared: path to kind; these are never asked for.
    """

    def __init__(self, declared: Mapping[str, Kind], clock: Clock = monotonic) -> None:
        self._declared = {function_path(name): kind for name, kind in declared.items()}
        self._learnt: dict[str, Kind] = {}
        self._asked: float | None = None
        self._clock = clock

    def known(self, path: str) -> Kind | None:
        """The function's kind, as far as it is known without asking."""
        return self._declared.get(path) or self._learnt.get(path)

    def kind(self, path: str, ask: Callable[[], Iterable[Mapping[str, Any]]]) -> Kind | None:
        """The function's kind; None if the deployment knows no such function.

        :param ask: fetches the deployment's list; called when the path is unknown, unless it was within a minute.
        """
        if known := self.known(path):
            return known
        # Without a lock: whoever waited for another's answer would wait beyond its own deadline.
        if self._asked is None or self._clock() >= self._asked + _REFRESH:
            self._learnt = dict(_kinds(ask()))
            self._asked = self._clock()
        return self._learnt.get(path)


def _kinds(spec: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Kind]]:
    kinds: dict[str, Kind] = {"Query": "query", "Mutation": "mutation", "Action": "action"}
    for function in spec:
        kind = kinds.get(str(function.get("functionType")))
        if kind is not None:
            module, _, name = str(function.get("identifier", "")).rpartition(":")
            yield f"{module.removesuffix('.js')}:{name}", kind
