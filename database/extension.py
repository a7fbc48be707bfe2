"""The object that Isthmus keeps in a Flask app, ``app.extensions["isthmus"]``: it holds each part by its class."""

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
    """The parts of one app: the connection manager, and the parts that auth and the HTTP API add.

    >>> Isthmus.of(app)[ConnectionManager]
    <ConnectionManager local>
    """

    def __init__(self) -> None:
        self._parts: dict[type, Any] = {}

    @classmethod
    def of(cls, app: Flask) -> Self:
        """The object of ``app``, created if there is none yet; for code that adds a part."""
        isthmus: Self = app.extensions.setdefault(_NAME, cls())
        return isthmus

    @classmethod
    def found(cls, app: Flask) -> Self:
        """The object of ``app``, or an empty one, which is not stored; for code that only reads."""
        isthmus: Self = app.extensions.get(_NAME) or cls()
        return isthmus

    @property
    def manager(self) -> ConnectionManager:
        """The app's databases. :raises LookupError: if it has none."""
        return self[ConnectionManager]

    def __getitem__(self, kind: type[Part]) -> Part:
        """The part of class ``kind``. :raises LookupError: if the app has none."""
        part: Part | None = self._parts.get(kind)
        if part is None:
            raise LookupError(f"this app has no {kind.__name__}; call the init_app() function that sets it up")
        return part

    def __setitem__(self, kind: type[Part], part: Part) -> None:
        """Set the part of class ``kind``; replaces an earlier one."""
        self._parts[kind] = part

    def __contains__(self, kind: type) -> bool:
        return kind in self._parts


def current_isthmus() -> Isthmus:
    """The object of the current app. :raises RuntimeError: outside of an app context."""
    return Isthmus.found(current_app)


def current_database() -> ConnectionManager:
    """The databases of the current app, for the calls of a view.

    :raises RuntimeError: outside of an app context. :raises LookupError: if the app has none.
    """
    return current_isthmus().manager
