"""References to stored data, which may be passed on instead of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from urllib.parse import quote
from urllib.parse import unquote

from storage.core.errors import StorageKeyError
from storage.core.errors import shown
from storage.core.keys import check_key

_SCHEME: Final = "storage://"


@dataclass(frozen=True, slots=True)
class DataReference:
    """Where data is stored. Two references to the same place are equal.

    :ivar storage_type: the name of the provider.
    :ivar key: its key there.
    :ivar metadata: what was given with the data.
    :ivar version: names what was stored, for a later write on condition that it is still there; None if unknown.
    """

    storage_type: str
    key: str
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)
    version: str | None = field(default=None, compare=False)

    def to_uri(self) -> str:
        """The reference as text: ``storage://postgresql/event_001``."""
        return f"{_SCHEME}{quote(self.storage_type, safe='')}/{quote(self.key, safe='')}"

    @classmethod
    def from_uri(cls, uri: str) -> DataReference:
        """The reference of :meth:`to_uri`, without metadata and version.

        :raises StorageKeyError: if the text is of something else.
        """
        storage_type, _, key = uri.removeprefix(_SCHEME).partition("/") if uri.startswith(_SCHEME) else ("", "", "")
        try:
            return cls(check_name(unquote(storage_type, errors="strict")), check_key(unquote(key, errors="strict")))
        except (UnicodeDecodeError, StorageKeyError) as error:
            raise StorageKeyError(
                f"a reference must be a URI such as {_SCHEME}postgresql/event_001, not {shown(uri)}"
            ) from error


def check_name(name: object) -> str:
    """``name``, if a provider may have it. :raises StorageKeyError: if not."""
    if not isinstance(name, str) or not name:
        raise StorageKeyError(f"the name of a provider must be text, such as 'postgresql', not {shown(name)}")
    return name
