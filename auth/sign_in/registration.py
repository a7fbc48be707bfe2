"""Validation and normalization of the fields of a registration."""

from __future__ import annotations

import re
import unicodedata

from auth.errors import InvalidRegistration

MAX_EMAIL = 254
MAX_NAME = 255
MIN_PASSWORD = 8
MAX_PASSWORD = 1024

_LOCAL = r"[^\s@.<>()\[\],;:\\\"]+"
_LABEL = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}\.)+{_LABEL}")


def canonical_email(value: object) -> str:
    """The address trimmed, in lower case and in Unicode form NFC, so that one mailbox has one spelling.

    :raises InvalidRegistration: if it is not a string of the form ``local@domain.tld`` with at most 254 characters.
    """
    if isinstance(value, str) and len(value) <= MAX_EMAIL:
        composed = unicodedata.normalize("NFC", value.strip())
        email = unicodedata.normalize("NFC", composed.lower())
        if len(email) <= MAX_EMAIL and email.isprintable() and _EMAIL.fullmatch(email):
            return email
    raise InvalidRegistration(
        "email", f"The e-mail address must have the form name@domain.tld and at most {MAX_EMAIL} characters"
    )


def valid_password(value: object) -> str:
    """The password, unchanged.

    :raises InvalidRegistration: if it is not a string of 8 to 1024 characters, or contains NUL or a surrogate.
    """
    if not isinstance(value, str) or not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        raise InvalidRegistration("password", f"The password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if "\0" in value or _has(value, "Cs"):
        raise InvalidRegistration("password", "The password must not contain NUL or surrogate characters")
    return value


def valid_name(value: object) -> str | None:
    """The name trimmed; None if it is None or empty.

    :raises InvalidRegistration: if it is not one line of text of at most 255 characters.
    """
    if value is None:
        return None
    name = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or len(name) > MAX_NAME or _has(name, "Cc", "Cs", "Zl", "Zp"):
        raise InvalidRegistration("name", f"The name must be one line of text of at most {MAX_NAME} characters")
    return name or None


def _has(value: str, *categories: str) -> bool:
    return any(unicodedata.category(character) in categories for character in value)
