"""JSON containment as PostgreSQL's ``@>`` defines it for jsonb, in time proportional to the size of the document.

An object contains another if it has every key of the other and its values contain the other's values; a list contains
another if each element of the other is contained in one of its elements; at the top level only, a list also contains a
bare scalar that is one of its elements. The value to look for is compiled once, for any number of documents.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Final

from database.core.query.steps import Steps

Feature = Hashable
"""A necessary condition for containment: a key with its scalar, an element, or a kind of container."""

_TRUE: Final = object()
_FALSE: Final = object()
_OBJECT: Final = object()
_LIST: Final = object()
"""Replace values that Python would confuse with others (True and 1), or that it cannot hash."""


class Part(ABC):
    """A JSON value to look for in documents."""

    __slots__ = ()

    @abstractmethod
    def within(self, value: Any, steps: Steps) -> bool:
        """Whether ``value`` contains this part. :raises Stopped: at the deadline."""


class _Scalar(Part):
    __slots__ = ("_key",)

    def __init__(self, value: Any) -> None:
        self._key = _key(value)

    def within(self, value: Any, steps: Steps) -> bool:
        return _key(value) == self._key


class _ScalarOrElement(Part):
    """A scalar at the top level, which is also contained in a list with such an element."""

    __slots__ = ("_key",)

    def __init__(self, value: Any) -> None:
        self._key = _key(value)

    def within(self, value: Any, steps: Steps) -> bool:
        if not isinstance(value, list):
            return _key(value) == self._key
        steps.take(len(value))
        return any(_key(element) == self._key for element in value)


class _Object(Part):
    __slots__ = ("_members", "features")

    def __init__(self, part: dict[str, Any]) -> None:
        self._members = [(key, _part(value)) for key, value in part.items()]
        self.features = frozenset(_features(part))

    def within(self, value: Any, steps: Steps) -> bool:
        if not isinstance(value, dict):
            return False
        steps.take()
        return all(key in value and member.within(value[key], steps) for key, member in self._members)


class _List(Part):
    __slots__ = ("_containers", "_features", "_scalars", "features")

    def __init__(self, part: list[Any]) -> None:
        self.features = frozenset(_features(part))
        self._scalars = frozenset(_key(element) for element in part if not isinstance(element, dict | list))
        self._containers = [_container(element) for element in part if isinstance(element, dict | list)]
        self._features = frozenset[Feature]().union(*[element.features for element in self._containers])

    def within(self, value: Any, steps: Steps) -> bool:
        if not isinstance(value, list):
            return False
        steps.take(1 + len(value))
        if not self._scalars.issubset(map(_key, value)):
            return False
        return not self._containers or self._holds_containers(value, steps)

    def _holds_containers(self, value: list[Any], steps: Steps) -> bool:
        """Whether each container is in some element. Only elements with its rarest feature are compared."""
        elements = [element for element in value if isinstance(element, dict | list)]
        having: defaultdict[Feature, list[Any]] = defaultdict(list)
        for element in elements:
            steps.take(1 + len(element))
            for feature in self._features.intersection(_features(element)):
                having[feature].append(element)
        return all(self._holds(part, _rarest(part, having, elements), steps) for part in self._containers)

    @staticmethod
    def _holds(part: Part, candidates: Iterable[Any], steps: Steps) -> bool:
        for candidate in candidates:
            steps.take()
            if part.within(candidate, steps):
                return True
        return False


def prepared(part: Any) -> Part:
    """Compile a JSON value to look for."""
    return _part(part) if isinstance(part, dict | list) else _ScalarOrElement(part)


def _part(value: Any) -> Part:
    return _container(value) if isinstance(value, dict | list) else _Scalar(value)


def _container(value: dict[str, Any] | list[Any]) -> _Object | _List:
    return _Object(value) if isinstance(value, dict) else _List(value)


def _rarest(part: _Object | _List, having: defaultdict[Feature, list[Any]], elements: Sequence[Any]) -> Sequence[Any]:
    return min((having.get(feature, ()) for feature in part.features), key=len, default=elements)


def _features(container: dict[str, Any] | list[Any]) -> Iterator[Feature]:
    if isinstance(container, dict):
        return zip(container, map(_key, container.values()), strict=True)
    return map(_key, container)


def _key(value: Any) -> Hashable:
    """Return a key that is equal for equal scalars, and for containers of the same kind."""
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    if isinstance(value, dict):
        return _OBJECT
    return _LIST if isinstance(value, list) else value
