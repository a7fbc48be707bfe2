"""UUIDs: text with one spelling."""

from __future__ import annotations

import re
from typing import Any
from typing import Final
from uuid import UUID

from database.core.kinds.ranges import Ranged
from database.core.kinds.values import TEXT

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HIGHEST = 2**128 - 1


class Uuids(Ranged):
    """A UUID as text in lower case. Any text can be compared with it; a UUID in another case is the same one."""

    name = "uuid"
    python_type = str
    base = TEXT

    def __init__(self) -> None:
        self.lowest = str(UUID(int=0))
        self.highest = str(UUID(int=_HIGHEST))

    def check(self, value: Any) -> str:
        if type(value) is str and _UUID.fullmatch(value):
            return value
        text = self.comparand(value)
        if not _UUID.fullmatch(text):
            raise ValueError("must be a UUID")
        return text

    def parse(self, text: str) -> str:
        return self.comparand(text)

    def comparand(self, value: Any) -> str:
        text = str(value) if isinstance(value, UUID) else TEXT.check(value)
        lower = text.lower()
        return lower if _UUID.fullmatch(lower) else text

    def held(self, comparand: str) -> str | None:
        return comparand if _UUID.fullmatch(comparand) else None

    def floor(self, comparand: str) -> str | None:
        if _UUID.fullmatch(comparand):
            return comparand
        below, most = -1, _HIGHEST
        while below < most:
            middle = (below + most + 1) // 2
            below, most = (middle, most) if str(UUID(int=middle)) <= comparand else (below, middle - 1)
        return None if below < 0 else str(UUID(int=below))


UUIDS: Final = Uuids()
