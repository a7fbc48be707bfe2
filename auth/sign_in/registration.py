"""What people type into a registration form, checked and brought into one form."""

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
    """The address trimmed, in lower case and composed (NFC): one spelling for one mailbox.

    :raises InvalidRegistration: if it is not text of the form ``local@domain.tld``, of at most 254 characters.
    """
    if isinstance(value, str) and len(value) <= MAX_EMAIL:
        composed = unicodedata.normalize("NFC", value.strip())
        email = unicodedata.normalize("NFC", composed.lower())
        if len(email) <= MAX_EMAIL and email.isprintable() and _EMAIL.fullmatch(email):
            return email
    raise InvalidRegistration("email", "This is not an e-mail address")


def valid_password(value: object) -> str:
    """The password as it is.

    :raises InvalidRegistration: if it is not text of 8 to 1024 characters, or has some that cannot be stored.
    """
    if not isinstance(value, str) or not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        raise InvalidRegistration("password", f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if "\0" in value or _has(value, "Cs"):
        raise InvalidRegistration("password", "The password has a character that is not allowed")
    return value


def valid_name(value: object) -> str | None:
    """The name trimmed; None if there is none.

    :raises InvalidRegistration: if it is not text of at most 255 characters on one line.
    """
    if value is None:
        return None
    name = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or len(name) > MAX_NAME or _has(name, "Cc", "Cs", "Zl", "Zp"):
        raise InvalidRegistration("name", f"A name is one line of text of at most {MAX_NAME} characters")
    return name or None


def _has(value: str, *categories: str) -> bool:
    return any(unicodedata.category(character) in categories for character in value)
