"""All entries of a place, page by page."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import Final

from storage.core.entry import Stored
from storage.core.operations import Scan

_PAGE: Final = 500
_PAGE_WHOLE: Final = 20


def scanned(
    run: Callable[[Scan], Any], prefix: str = "", *, after: str | None = None, bodies: bool = False, small: int = 0
) -> Iterator[Stored]:
    """The entries whose keys begin with ``prefix``, in the order of their keys; also those that have expired.

    :param run: carries out a scan, and returns its value.
    :param after: only the keys behind this one.
    :param small: as that of :class:`Scan`.
    """
    limit = _PAGE_WHOLE if bodies else _PAGE
    while True:
        found: list[Stored] = run(Scan(prefix, after, limit, bodies, small))
        yield from found
        if len(found) < limit:
            return
        after = found[-1].key
