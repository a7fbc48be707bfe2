"""Conditional requests (RFC 9110, section 13), for whatever has an entity tag."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import PreconditionFailed


def is_conditional() -> bool:
    """Whether the request has ``If-Match`` or ``If-None-Match``."""
    return "If-Match" in request.headers or "If-None-Match" in request.headers


def require(tag: str | None, *, exists: bool, what: str = "record") -> None:
    """Check the preconditions of the request before a change.

    :param tag: the present entity tag; None if there is none that a client could have.
    :param what: what is changed, for messages.
    :raises PreconditionFailed: if a precondition is false.
    """
    if "If-Match" in request.headers and not _is_expected(tag, exists=exists):
        raise PreconditionFailed(f"The {what} does not exist or has another version than If-Match; read it again")
    if "If-None-Match" in request.headers and is_known(tag, exists=exists):
        raise PreconditionFailed(f"The {what} exists with a version that If-None-Match excludes")


def is_known(tag: str | None, *, exists: bool = True) -> bool:
    """Whether ``If-None-Match`` contains the present entity tag."""
    tags = request.if_none_match
    return exists and (tags.star_tag or (tag is not None and tags.contains_weak(tag)))


def _is_expected(tag: str | None, *, exists: bool) -> bool:
    tags = request.if_match
    return exists and (tags.star_tag or (tag is not None and tags.contains(tag)))
