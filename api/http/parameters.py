"""The parameters of a query string, and those in a path."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from database import InvalidQuery
from database.core.kinds.values import INTEGER


def refuse_parameters(parameters: MultiDict[str, str], *, allowed: Collection[str] = ()) -> None:
    """Reject other parameters. :raises InvalidQuery: for a parameter that is not allowed; names it."""
    unknown = next((name for name in parameters if name not in allowed), None)
    if unknown is not None:
        raise InvalidQuery(f"parameter {unknown[:64]!r} is not allowed here")


def single_parameters(parameters: MultiDict[str, str], names: Collection[str]) -> dict[str, str]:
    """The parameters with these names. :raises InvalidQuery: for a repeated one."""
    given = {name: parameters.getlist(name) for name in names if name in parameters}
    repeated = next((name for name, values in given.items() if len(values) > 1), None)
    if repeated is not None:
        raise InvalidQuery(f"parameter {repeated!r} must not be repeated")
    return {name: values[0] for name, values in given.items()}


def number_of(name: str, value: Any, most: int | None = None) -> int:
    """A number from 0, written as text or as one. :raises InvalidQuery: for anything else; names the parameter."""
    try:
        number = int(INTEGER.parse(value) if isinstance(value, str) else INTEGER.check(value))
    except ValueError as error:
        raise InvalidQuery(f"{name} {error}") from None
    if number < 0 or (most is not None and number > most):
        raise InvalidQuery(f"{name} must be at least 0" + (f" and at most {most}" if most is not None else ""))
    return number


def refuse_undecodable() -> None:
    """Refuse a path that is not UTF-8, in which several keys would look alike. :raises InvalidQuery: says so."""
    if "\ufffd" in request.path:
        try:
            request.environ["PATH_INFO"].encode("latin-1").decode()
        except UnicodeDecodeError:
            raise InvalidQuery("the key in the URL must be percent-encoded UTF-8") from None
