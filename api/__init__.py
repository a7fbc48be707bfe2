"""The HTTP interface: blueprints over the data layer and identity, and the errors they answer with."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from api import serving
else:
    # The server is nothing to a command, or under another server.
    __getattr__ = on_first_use(__name__, {"serving": "serving"})

__all__ = ["serving"]
