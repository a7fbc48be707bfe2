"""The production server: what receives requests, and its threads."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from api.server import serving
else:
    # The server is nothing to a command, or under another server.
    __getattr__ = on_first_use(__name__, {"serving": "serving"})

__all__ = ["serving"]
