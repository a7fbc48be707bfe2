"""What Isthmus keeps in a Flask app: one object, ``app.extensions["isthmus"]``, which has each part by its class."""

from __future__ import annotations

from typing import Any
from typing import Self
from typing import TypeVar

from flask import Flask
from flask import current_app

from database.connection_manager import ConnectionManager

Part = TypeVar("Part")
_NAME = "isthmus"


class Isthmus:
    """The parts of one app: the connection manager, and what identity and the HTTP interface add.

    >>> Isthmus.of(app)[ConnectionManager]
    <ConnectionManager local>
    """

    def __init__(self) -> None:
        self._parts: dict[type, Any] = {}

    @classmethod
    def of(cls, app: Flask) -> Self:
        """The object of ``app``, for whoever adds to it: made if there is none yet."""
        isthmus: Self = app.extensions.setdefault(_NAME, cls())
        return isthmus

    @classmethod
    def found(cls, app: Flask) -> Self:
        """The object of ``app``, which is left as it is if there is none."""
        isthmus: Self = app.extensions.get(_NAME) or cls()
        return isthmus

    @property
    def manager(self) -> ConnectionManager:
        """The app's databases. :raises LookupError: if it has none."""
        return self[ConnectionManager]

    def __getitem__(self, kind: type[Part]) -> Part:
        """The part of that class. :raises LookupError: names what the app lacks."""
        part: Part | None = self._parts.get(kind)
        if part is None:
            raise LookupError(f"this app has no {kind.__name__}; call the init_app function that sets it up")
        return part

    def __setitem__(self, kind: type[Part], part: Part) -> None:
        """Keep ``part`` as the one of that class, in the place of another one."""
        self._parts[kind] = part

    def __contains__(self, kind: type) -> bool:
        return kind in self._parts


def current_isthmus() -> Isthmus:
    """The object of the current app. :raises RuntimeError: outside of an app context."""
    return Isthmus.found(current_app)


def current_database() -> ConnectionManager:
    """The databases of the current app: what a view makes its calls on.

    :raises RuntimeError: outside of an app context. :raises LookupError: if the app has none.
    """
    return current_isthmus().manager
